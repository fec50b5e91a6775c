"""What commands write for others to read: as it is, or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, OutputWrapper


@contextmanager
def written(output: OutputWrapper, returncode: int = 1) -> Iterator[None]:
    """Have what is written inside of the block at its other end; whoever closes a pipe knows that he did.

    :param output: standard output
    :param returncode: of the command, where that cannot be
    """
    try:
        yield
        output.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())  # nothing is left to be flushed at exit
        if isinstance(error, BrokenPipeError):
            sys.exit(returncode)
        raise CommandError(f"Cannot write: {error.strerror}", returncode=returncode) from None


def write_utf8(output: OutputWrapper, text: bytes) -> None:
    """For files and pipes: as it is, whatever letters a terminal knows."""
    if (raw := getattr(output, "buffer", None)) is None:  # a test's
        output.write(text.decode(), ending="")
    else:
        raw.write(text)
