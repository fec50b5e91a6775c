"""Streams with context variables of their own: what code that is read piece by piece sets, its reader does not have."""

from __future__ import annotations

from asyncio import create_task
from collections.abc import AsyncGenerator, Generator
from contextvars import copy_context
from typing import Any, Final, TypeVar

T = TypeVar("T")
_END: Final[Any] = object()


def set_apart(stream: Generator[T]) -> Generator[T]:
    """The same pieces; the generator runs in a copy of the context that is current at this call."""
    context = copy_context()

    def read() -> Generator[T]:
        try:
            while (piece := context.run(next, stream, _END)) is not _END:
                yield piece
        finally:
            context.run(stream.close)

    return read()


def aset_apart(stream: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """Like :func:`set_apart`. Each piece is made in a task of its own: that alone has the context."""
    context = copy_context()

    async def step() -> T:
        return await anext(stream, _END)

    async def read() -> AsyncGenerator[T]:
        try:
            while (piece := await create_task(step(), context=context)) is not _END:
                yield piece
        finally:
            await create_task(stream.aclose(), context=context)

    return read()
