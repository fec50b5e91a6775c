"""Files for what does not fit into memory while the database is away: written whole, and stored exactly once.

A segment is a file of records that is written once, fsynced and renamed into place, so it is there whole or not at all.
Each process writes segments of its own, behind a lock file that it holds for its life; whoever can take the lock
of another knows that its owner is dead, and stores what it left.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from errno import EPERM
from hashlib import sha256
from pathlib import Path
from typing import Final

import orjson

from trace_streaming.events import (
    TraceApproval,
    TraceEnd,
    TraceEvent,
    TraceLoss,
    TraceRecord,
    TraceStart,
    parse_timestamp,
)

from .record_queue import Destination
from .spool_files import check_is_file, read_file, spool_dir_problem

logger = logging.getLogger(__name__)

_KINDS: Final = {kind.__name__: kind for kind in (TraceStart, TraceApproval, TraceEvent, TraceLoss, TraceEnd)}


class UnreadableSegmentError(ValueError):
    """A file of the spool holds something else: it was damaged, or written by another version of this app."""


class _Owner:
    """A process that writes segments, and the lock that says whether it lives."""

    def __init__(self, lock: Path, descriptor: int) -> None:
        self.name = lock.stem
        self._lock = lock
        self._descriptor = descriptor

    @classmethod
    def new(cls, folder: Path) -> _Owner:
        """Of this process. The name begins with the time, so that names sort by age."""
        while True:
            lock = folder / f"{time.time_ns():020d}-{socket.gethostname()}-{os.getpid()}.lock"
            owner = cls.take(lock, os.O_CREAT)
            if owner is not None:
                return owner

    @classmethod
    def take(cls, lock: Path, flags: int = 0) -> _Owner | None:
        """Lock the file; None when its owner lives, or another process is just clearing it away.

        :raises OSError: the file cannot be opened, or this file system has no locks
        """
        descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o600)
        try:
            check_is_file(descriptor, lock)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (owner := cls(lock, descriptor)).has_its_lock():
                return owner
        except BlockingIOError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def has_its_lock(self) -> bool:
        """Whether others see that it lives."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._lock.stat())
        except FileNotFoundError:
            return False

    def segments(self) -> list[Path]:
        """What it has written, oldest first."""
        return sorted(self._lock.parent.glob(f"{self.name}.*.spool"))

    def release(self) -> None:
        """Remove the lock, if no segment needs it any more, and let it go."""
        if not self.segments():
            self._lock.unlink(missing_ok=True)
        self.abandon()

    def abandon(self) -> None:
        """Close the file alone: the lock is the parent's, in a forked child."""
        os.close(self._descriptor)


@dataclass(slots=True)
class Segment:
    """One file of records."""

    path: Path
    count: int
    """Records in it."""
    barriers: Sequence[Future[None]] = field(default_factory=list)
    """To be resolved when it is stored."""
    destination: Destination | None = None
    """The one database that it is for."""
    is_adopted: bool = False
    """Whether a process that is dead has written it."""

    @property
    def name(self) -> str:
        """What the database knows it by: no other segment ever has the same."""
        return self.path.stem

    def read(self) -> list[TraceRecord]:
        """Its records, in order; :exc:`UnreadableSegmentError`."""
        try:
            return [_decode(line) for line in read_file(self.path).splitlines()]
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableSegmentError(f"{self.path} holds no trace events of this version") from error

    def set_aside(self) -> None:
        """Keep an unreadable file out of the way, for a human."""
        with suppress(OSError):  # then it is found again by the next process
            self.path.rename(self.path.with_suffix(".unreadable"))


class Spool:
    """One process's view of the folder that ``TRACE_STREAMING_SPOOL_DIR`` names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = self._begin()
        self._adopted: list[_Owner] = []

    def _begin(self) -> _Owner:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (problem := spool_dir_problem(self._folder)) is not None:
            raise PermissionError(EPERM, problem, str(self._folder))
        return _Owner.new(self._folder)

    def write(
        self,
        number: int,
        records: Iterable[TraceRecord],
        barriers: Sequence[Future[None]],
        destination: Destination | None = None,
    ) -> Segment:
        """Write a segment; it is on the disk when this returns.

        :param number: its place among those of this process
        :param destination: the one database that they are for
        :raises OSError: it could not be written, and is not there
        """
        lines = [
            orjson.dumps([type(record).__name__, record], default=str, option=orjson.OPT_APPEND_NEWLINE)
            for record in records
        ]
        if not self._own.has_its_lock():  # somebody has tidied up: the file, or the whole folder
            self._own.abandon()
            self._own = self._begin()
        place = f"{number:012d}" if destination is None else f"{number:012d}-{_digest(destination)}"
        path = self._folder / f"{self._own.name}.{place}.spool"
        unfinished = path.with_suffix(".unfinished")
        try:
            with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:  # noqa: PTH123
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
            self._sync_folder()
        except OSError:
            path.unlink(missing_ok=True)
            unfinished.unlink(missing_ok=True)
            raise
        return Segment(path, len(lines), barriers, destination)

    def adopt(self, destination: Destination) -> Iterator[Segment]:
        """What processes that are dead have left for this database, oldest first; from now on it is ours to store."""
        names = {lock.stem for lock in self._folder.glob("*.lock")}
        names |= {path.name.rsplit(".", 2)[0] for path in self._folder.glob("*.spool")}  # the lock may have been lost
        for name in sorted(names - {self._own.name}):
            try:
                owner = _Owner.take(self._folder / f"{name}.lock", os.O_CREAT)
                segments = [] if owner is None else list(_segments_for(destination, owner.segments()))
            except OSError as error:  # one that belongs to another user, say, must not hide the others
                logger.error("What process %s left cannot be read (%s)", name, type(error).__name__)
                continue
            if owner is not None and segments:
                logger.warning("Storing trace events that process %s left in %s", name, self._folder)
                self._adopted.append(owner)
            elif owner is not None:
                owner.release()
            yield from segments

    def close(self) -> None:
        """Let all locks go: what is not stored yet is for the next process."""
        for owner in (self._own, *self._adopted):
            owner.release()

    def forget(self) -> None:
        """In a forked child: the locks are the parent's."""
        for owner in (self._own, *self._adopted):
            owner.abandon()

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _segments_for(destination: Destination, paths: Iterable[Path]) -> Iterator[Segment]:
    """Those for this database; what an earlier version has written names none."""
    for path in paths:
        _, _, digest = path.stem.rpartition(".")[2].partition("-")
        if digest in ("", _digest(destination)):
            yield Segment(path, read_file(path).count(b"\n"), destination=destination, is_adopted=True)


def _digest(destination: Destination) -> str:
    return sha256("\0".join(destination).encode()).hexdigest()[:12]


def _decode(line: bytes) -> TraceRecord:
    kind, fields = orjson.loads(line)
    fields["timestamp"] = parse_timestamp(fields["timestamp"])
    if "hidden" in fields:
        fields["hidden"] = tuple(fields["hidden"])
    record: TraceRecord = _KINDS[kind](**fields)
    return record
