"""A spool's folder and its files, which other users of the machine may have had their hands on."""

from __future__ import annotations

import os
import stat
from datetime import datetime
from errno import EINVAL
from pathlib import Path


def spool_dir_problem(folder: Path) -> str | None:
    """Why nothing may be kept in a folder that is there: others could read events, or plant some."""
    status = folder.stat()
    if status.st_uid not in (os.geteuid(), 0):
        return "It belongs to another user"
    if status.st_mode & stat.S_IWOTH:
        return "Everybody may write to it"
    return None


def read_file(path: Path) -> bytes:
    """Of a file that is one; :exc:`OSError` for a link or a pipe, which somebody else has put there."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
        check_is_file(file.fileno(), path)
        return file.read()


def check_is_file(descriptor: int, path: Path) -> None:
    """Raise :exc:`OSError` for what is no regular file."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(EINVAL, "Not a file", str(path))


def remove_set_aside(folder: Path, older_than: datetime) -> int:
    """Delete what could not be read, and what was never finished; returns how many files."""
    files = [*folder.glob("*.unreadable"), *folder.glob("*.unfinished")]
    old = [file for file in files if file.stat().st_mtime < older_than.timestamp()]
    for file in old:
        file.unlink(missing_ok=True)
    return len(old)
