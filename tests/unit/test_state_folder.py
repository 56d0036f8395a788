"""Whose the state folder is, who may write there, and how a place is told that can't be used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from callsheet.errors import StateError
from callsheet.ledgers.sqlite import SqliteLedger
from callsheet.state_folder import LEDGER, TOOLKIT, examine, prepare, unusable
from callsheet.workers import agent_archive
from tests.support.disk import small_disk
from tests.support.users import NOBODY, acting_as, as_root

PIPELINE = 54321


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def circle(folder: Path) -> Path:
    (folder / "circle").symlink_to(folder / "circle")
    return folder / "circle" / "state"


def dangling(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "away")
    return folder / "link"


def below_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "state"


def a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file"


BAD = {
    "ELOOP": (circle, "Links on that path lead in a circle"),
    "dangling": (dangling, "correct the path"),
    "ENOTDIR": (below_a_file, "A part of that path is a file"),
    "file": (a_file, "correct the path"),
    "ENAMETOOLONG": (lambda folder: folder / ("x" * 300), "Shorten that path"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_place_that_can_not_be_used_is_one_line_with_the_cure_before_and_at_the_start(tmp_path: Path, kind: str) -> None:
    make, cure = BAD[kind]
    state = make(tmp_path)

    with pytest.raises(StateError) as caught:
        prepare(state, None)

    assert str(caught.value).startswith(f"The state folder {state} can't be made: ")
    assert cure in str(caught.value)
    assert "\n" not in str(caught.value)
    foreseen = examine(state, None)
    assert foreseen is not None
    assert cure in foreseen


@as_root
def test_a_place_without_the_right_to_write_is_told(tmp_path: Path) -> None:
    with acting_as(NOBODY, through=tmp_path):
        assert "Permission denied. Give the user" in (examine(tmp_path / "state", None) or "")
        assert "Permission denied. Give the user" in (unusable(tmp_path / "log", file=True) or "")
        with pytest.raises(StateError, match=r"Permission denied\. Give the user"):
            prepare(tmp_path / "state", None)


def test_a_disk_that_is_full_or_protected_is_foreseen(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        if disk is None:
            pytest.skip("needs the right to mount a tmpfs")
        assert examine(disk.folder / "state", None) is None
        disk.fill()
        assert "Free some space" in (examine(disk.folder / "state", None) or "")
        disk.protect()
        assert "mounted read-only" in (examine(disk.folder / "state", None) or "")
        with pytest.raises(StateError, match="mounted read-only"):
            prepare(disk.folder / "state", None)


def test_examining_makes_nothing(tmp_path: Path) -> None:
    assert examine(tmp_path / "a" / "b", None) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rights", [0o777, 0o1777, 0o770, 0o702])
def test_a_folder_that_others_can_write_is_refused(tmp_path: Path, rights: int) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(rights)

    with pytest.raises(StateError, match=rf"can be written by others \(mode {rights:04o}\).*`chmod go-w {state}`"):
        prepare(state, None)
    assert "chmod go-w" in (examine(state, None) or "")


@as_root
def test_the_folder_of_another_user_is_refused_and_roots_is_not(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", NOBODY, NOBODY)

    with pytest.raises(StateError, match=r"belongs to user nobody, and Callsheet runs as root.*`sudo -u nobody callsheet"):
        prepare(tmp_path / "state", None)

    volume = tmp_path / "volume"  # as a container gets one, with the group of its user
    volume.mkdir()
    os.chown(volume, 0, PIPELINE)
    volume.chmod(0o2770)
    with acting_as(1001, (PIPELINE,), through=tmp_path):
        prepare(volume, PIPELINE)


@as_root
def test_a_group_may_read_and_write_whatever_the_umask(tmp_path: Path) -> None:
    state = tmp_path / "state"
    os.umask(before := os.umask(0o077))
    os.umask(0o077)
    try:
        prepare(state, PIPELINE)
        ledger = SqliteLedger(state / LEDGER)
        ledger.lock("here")
        archive = agent_archive.build(state)
    finally:
        os.umask(before)

    assert mode(state) == 0o3770
    assert {path.stat().st_gid for path in [state, *state.iterdir()]} == {PIPELINE}
    assert mode(state / TOOLKIT) & 0o777 == 0o700  # whatever the umask, nobody else puts code there
    assert {path.name: mode(path) for path in state.iterdir() if path not in (archive, state / TOOLKIT)} == dict.fromkeys(
        [LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", f"{LEDGER}.lock"], 0o660
    )
    assert mode(archive) == 0o640
    with acting_as(1001, (PIPELINE,), through=tmp_path):
        other = SqliteLedger(state / LEDGER, create=False)
        assert other.overview().heartbeat is None
        other.close()
        assert agent_archive.build(state) == archive
        with pytest.raises(PermissionError):
            archive.unlink()  # nor put other code in its place
    ledger.close()


@as_root
def test_a_folder_for_code_that_another_user_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", -1, PIPELINE)
    (tmp_path / "state").chmod(0o2770)
    with acting_as(1001, (PIPELINE,), through=tmp_path):
        (tmp_path / "state" / TOOLKIT).mkdir()

    with pytest.raises(StateError, match=r"has a folder .*toolkit that is not of root, but of #1001\. Remove that one\."):
        prepare(tmp_path / "state", PIPELINE)


@as_root
def test_a_folder_made_without_a_group_is_given_to_it_later(tmp_path: Path) -> None:
    prepare(tmp_path, None)
    SqliteLedger(tmp_path / LEDGER).close()
    assert mode(tmp_path / LEDGER) == 0o600

    prepare(tmp_path, PIPELINE)

    assert mode(tmp_path) == 0o3770
    assert mode(tmp_path / LEDGER) == 0o660
    assert (tmp_path / LEDGER).stat().st_gid == PIPELINE


@as_root
def test_a_group_that_the_user_is_not_in_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    with acting_as(NOBODY, through=tmp_path), pytest.raises(StateError, match="Add nobody to that group"):
        prepare(tmp_path, PIPELINE)
