"""A stream has context variables of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from contextvars import ContextVar

import pytest

from trace_streaming.integrations.streams import aset_apart, set_apart

variable: ContextVar[str] = ContextVar("variable", default="outside")


def pieces(name: str, left: list[str]) -> Generator[str]:
    yield variable.get()
    token = variable.set(name)
    try:
        yield variable.get()
        yield variable.get()
    finally:
        variable.reset(token)
        left.append(name)


async def apieces(name: str, left: list[str]) -> AsyncGenerator[str]:
    yield variable.get()
    token = variable.set(name)
    try:
        yield variable.get()
        await asyncio.sleep(0)
        yield variable.get()
    finally:
        variable.reset(token)
        left.append(name)


def test_what_it_sets_its_reader_does_not_have() -> None:
    """Nor another that is read in turn with it; it begins with what is set where it was made."""
    left: list[str] = []
    token = variable.set("caller")
    first, second = set_apart(pieces("first", left)), set_apart(pieces("second", left))
    variable.reset(token)
    assert [(*pair, variable.get()) for pair in zip(first, second, strict=True)] == [
        ("caller", "caller", "outside"),
        ("first", "second", "outside"),
        ("first", "second", "outside"),
    ]
    assert left == ["first", "second"]


async def read(stream: AsyncGenerator[str]) -> str:
    return await anext(stream)


async def test_an_asynchronous_one_neither() -> None:
    """Whatever task reads it."""
    left: list[str] = []
    first, second = aset_apart(apieces("first", left)), aset_apart(apieces("second", left))
    seen = [(piece, await asyncio.create_task(read(second)), variable.get()) async for piece in first]
    assert seen == [("outside", "outside", "outside"), *[("first", "second", "outside")] * 2]
    assert [piece async for piece in second] == []
    assert left == ["first", "second"]


def test_one_that_is_left_is_closed() -> None:
    """In its own context."""
    left: list[str] = []
    stream = set_apart(pieces("first", left))
    assert [next(stream), next(stream)] == ["outside", "first"]
    stream.close()
    assert left == ["first"]


async def test_an_asynchronous_one_that_is_left_is_closed() -> None:
    """The same, in a task that has its context."""
    left: list[str] = []
    async with aclosing(aset_apart(apieces("first", left))) as stream:
        assert [await anext(stream), await anext(stream)] == ["outside", "first"]
    assert left == ["first"]


async def test_who_is_cancelled_while_it_reads_cancels_what_it_reads() -> None:
    """Which ends before him."""
    begun, left = asyncio.Event(), []

    async def slow() -> AsyncGenerator[str]:
        try:
            begun.set()
            await asyncio.sleep(60)
            yield ""
        except asyncio.CancelledError:
            left.append("cancelled")
            raise

    async def read() -> None:
        async for _ in aset_apart(slow()):
            pass

    reader = asyncio.create_task(read())
    await begun.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert left == ["cancelled"]


async def test_what_fails_in_it_comes_out_of_it() -> None:
    """As it is."""

    def fail() -> Generator[str]:
        yield "first"
        raise LookupError

    async def afail() -> AsyncGenerator[str]:
        yield "first"
        raise LookupError

    stream, other = set_apart(fail()), aset_apart(afail())
    assert next(stream) == await anext(other) == "first"
    with pytest.raises(LookupError):
        next(stream)
    with pytest.raises(LookupError):
        await anext(other)
