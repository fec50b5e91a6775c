"""Files of the spool: whole or not at all, private, and stored by whoever outlives their writer."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from trace_streaming.events import TraceEnd, TraceEvent, TraceLoss, TraceRecord, TraceStart
from trace_streaming.recording.record_queue import Destination
from trace_streaming.recording.spool import Spool, UnreadableSegmentError

NOW = datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC)
HERE = Destination("default", "trace")
RECORDS: list[TraceRecord] = [
    TraceStart("t", NOW, 7, '{"a":"\\n"}'),
    TraceEvent("plan_created", "t", NOW, '{"text":"line\\nbreak \u2028 \U0001f50d"}', "success", "tool \x00", 0.1),
    TraceLoss("t", NOW, 3),
    TraceEnd("t", "error", NOW),
]


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    """Every kind of record, to the microsecond; line breaks of any kind do not cut them."""
    segment = Spool(tmp_path).write(1, RECORDS, ())
    assert segment.read() == RECORDS
    assert segment.count == 4


def test_an_owner_may_have_a_uuid(tmp_path: Path) -> None:
    """It comes back as text, which the model takes for the same."""
    owner = UUID(int=5)
    (start,) = Spool(tmp_path).write(1, [TraceStart("t", NOW, owner)], ()).read()
    assert isinstance(start, TraceStart)
    assert start.owner_id == str(owner)


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """They hold what agents said: nobody else of the machine reads them."""
    folder = tmp_path / "a" / "spool"
    segment = Spool(folder).write(1, RECORDS, ())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert segment.path in set(folder.iterdir())


def test_a_file_that_the_disk_refuses_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither half of it nor under another name: the records are still in memory."""

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    spool = Spool(tmp_path)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        spool.write(1, RECORDS, ())
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_each_database_gets_what_is_its_own(tmp_path: Path) -> None:
    """A folder that several databases share, or a test run and production: the files of another stay where they are."""
    dead = Spool(tmp_path)
    dead.write(1, RECORDS, (), HERE)
    dead.write(2, RECORDS, (), HERE._replace(name="another"))
    dead.write(3, RECORDS, (), HERE._replace(alias="another"))
    dead.write(4, RECORDS, ())  # by a version that named none
    dead.close()
    spool = Spool(tmp_path)
    assert [segment.path.name.split(".")[-2][:12] for segment in spool.adopt(HERE)] == ["000000000001", "000000000004"]
    assert len(list(tmp_path.glob("*.spool"))) == 4


def test_a_living_process_keeps_its_files(tmp_path: Path) -> None:
    """Two spools of one folder: neither takes what the other may still store."""
    one, other = Spool(tmp_path), Spool(tmp_path)
    one.write(1, RECORDS, ())
    assert list(other.adopt(HERE)) == []
    assert list(one.adopt(HERE)) == []


@pytest.mark.parametrize("gone", ["folder", "lock"])
def test_what_somebody_has_tidied_away_is_made_again(tmp_path: Path, gone: str) -> None:
    """A folder below ``/tmp``, say: what is written behind it is there, and is known to be of a process that lives."""
    folder = tmp_path / "spool"
    spool = Spool(folder)
    spool.write(1, RECORDS, (), HERE)
    if gone == "folder":
        shutil.rmtree(folder)
    else:
        next(folder.glob("*.lock")).unlink()
    segment = spool.write(2, RECORDS, (), HERE)
    assert segment.read() == RECORDS
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert segment.name not in {each.name for each in Spool(folder).adopt(HERE)}
    spool.close()
    assert segment.name in {each.name for each in Spool(folder).adopt(HERE)}


def test_what_a_process_left_is_taken_over_once_and_in_order(tmp_path: Path) -> None:
    """The oldest file first; the lock goes with the last of them."""
    dead = Spool(tmp_path)
    for number in (2, 10, 1):
        dead.write(number, [RECORDS[1]] * number, ())
    dead.close()
    one, other = Spool(tmp_path), Spool(tmp_path)
    segments = list(one.adopt(HERE))
    assert [segment.count for segment in segments] == [1, 2, 10]
    assert list(other.adopt(HERE)) == []
    for segment in segments:
        segment.path.unlink()
    one.close()
    other.close()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_left_whole_files_only(tmp_path: Path) -> None:
    """kill -9 frees its lock; what was half written is none of the segments."""
    script = (
        "import sys; from tests.recording.test_spool import *\n"
        "spool = Spool(Path(sys.argv[1])); spool.write(1, RECORDS, ())\n"
        "(Path(sys.argv[1]) / (spool._own.name + '.000000000002.unfinished')).write_bytes(b'[\"TraceEvent\",{\"ev')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"}
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=env, check=False)
    assert killed.returncode == -signal.SIGKILL
    (segment,) = Spool(tmp_path).adopt(HERE)
    assert segment.read() == RECORDS


def test_a_forked_child_leaves_the_files_to_its_parent(tmp_path: Path) -> None:
    """The child forgets; the parent's lock still holds, and ends with the parent."""
    spool = Spool(tmp_path)
    spool.write(1, RECORDS, ())
    child = os.fork()
    if child == 0:
        spool.forget()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(Spool(tmp_path).adopt(HERE)) == []


@pytest.mark.parametrize(
    "content", [b"[", b"{}", b'["TraceEvent",{"event":"x"}]', b'["Future",{"timestamp":"2026-01-05"}]']
)
def test_an_unreadable_file_is_kept_for_a_human(tmp_path: Path, content: bytes) -> None:
    """Damaged, or of another version: it is out of the way, and still there."""
    segment = Spool(tmp_path).write(1, RECORDS, ())
    segment.path.write_bytes(content)
    with pytest.raises(UnreadableSegmentError):
        segment.read()
    segment.set_aside()
    assert [path.suffix for path in tmp_path.iterdir() if path.suffix != ".lock"] == [".unreadable"]


def test_files_whose_lock_was_lost_are_found(tmp_path: Path) -> None:
    """Somebody tidied up, or the owner let it go a moment too early."""
    dead = Spool(tmp_path)
    dead.write(1, RECORDS, ())
    dead.close()
    for lock in tmp_path.glob("*.lock"):
        lock.unlink()
    (segment,) = Spool(tmp_path).adopt(HERE)
    assert segment.read() == RECORDS


def test_what_cannot_be_opened_hides_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The files of another user, say."""
    (tmp_path / "0-of-another.lock").mkdir()
    dead = Spool(tmp_path)
    dead.write(1, RECORDS, ())
    dead.close()
    assert len(list(Spool(tmp_path).adopt(HERE))) == 1
    assert "What process 0-of-another left cannot be read (IsADirectoryError)" in caplog.text


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and without leaving files behind at every attempt."""

    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(OSError, match="not supported"):
        Spool(tmp_path)


def test_an_owner_of_any_kind_can_be_spooled(tmp_path: Path) -> None:
    """A primary key that JSON does not know becomes text."""
    (start,) = Spool(tmp_path).write(1, [TraceStart("t", NOW, Decimal(7))], ()).read()
    assert isinstance(start, TraceStart)
    assert start.owner_id == "7"


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut there is no file with half of its records, and none without a name."""
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        done.append("sync")

    def renamed(path: Path, to: Path) -> Path:
        done.append("rename")
        return rename(path, to)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    Spool(tmp_path / "spool").write(1, RECORDS, ())
    assert done == ["sync", "rename", "sync"]


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o707])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    """They could plant events of any trace, and move files out of it; one of a group's is the group's."""
    folder = tmp_path / "spool"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(PermissionError, match="Everybody may write to it"):
        Spool(folder)
    folder.chmod(0o770)
    Spool(folder).close()


@pytest.mark.parametrize("suffix", ["lock", "spool"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_file_is_not_taken_for_one(
    tmp_path: Path, suffix: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A link leads to somebody else's file, and nobody may ever write to a pipe."""
    folder = tmp_path / "spool"
    dead = Spool(folder)
    dead.write(1, RECORDS, ())
    dead.close()
    planted = folder / f"0-planted.{'lock' if suffix == 'lock' else '000000000001.spool'}"
    if kind == "pipe":
        os.mkfifo(planted)
    else:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.write_text("[]\n")
        planted.symlink_to(elsewhere)
    assert [segment.read() for segment in Spool(folder).adopt(HERE)] == [RECORDS]
    assert "What process 0-planted left cannot be read" in caplog.text
