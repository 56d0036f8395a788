from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from callsheet.errors import StateError
from callsheet.workers import agent_archive


def test_the_same_sources_give_the_same_archive(tmp_path: Path) -> None:
    one, two = agent_archive.build(tmp_path / "one"), agent_archive.build(tmp_path / "two")

    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()


def test_an_archive_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = agent_archive.build(tmp_path)
    before = path.stat()

    assert agent_archive.build(tmp_path) == path
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert list(tmp_path.iterdir()) == [path]  # no unfinished file stays behind


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o660])
def test_another_file_of_that_name_is_not_trusted(tmp_path: Path, mode: int) -> None:
    path = agent_archive.build(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content if mode != 0o600 else b"PK" + content[2:-1] + b"!")
    path.chmod(mode)

    assert agent_archive.build(tmp_path) == path
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_of_that_name_is_replaced_even_where_it_leads_to_the_same(tmp_path: Path) -> None:
    path = agent_archive.build(tmp_path)
    path.rename(elsewhere := tmp_path / "elsewhere")
    path.symlink_to(elsewhere)

    assert not agent_archive.build(tmp_path).is_symlink()


def test_it_holds_the_agent_and_what_plugins_import_and_nothing_else(tmp_path: Path) -> None:
    names = set(zipfile.ZipFile(agent_archive.build(tmp_path)).namelist())

    assert {"__main__.py", "callsheet/__init__.py", "callsheet/version.py", "callsheet/agent/serve.py"} <= names
    ours = ("callsheet/agent/", "callsheet/__init__", "callsheet/wire/", "callsheet/toolkit", "callsheet/version", "__main__")
    assert all(name.startswith(ours) for name in names)


def test_it_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    path = agent_archive.build(tmp_path)
    script = "import sys; sys.path[:0] = [sys.argv[1]]; import callsheet.agent.serve; print(callsheet.__file__)"

    told = subprocess.run([sys.executable, "-I", "-S", "-c", script, str(path)], capture_output=True, text=True, check=True)

    assert told.stdout.startswith(str(path))


def test_a_worker_begins_without_what_only_the_client_needs(tmp_path: Path) -> None:
    path = agent_archive.build(tmp_path)
    late = {"ssl", "xmlrpc.client", "urllib.request", "http.client"}
    script = f"import sys; sys.path[:0] = [sys.argv[1]]; import callsheet.agent.serve; print(*{late!r} & set(sys.modules))"

    told = subprocess.run([sys.executable, "-I", "-S", "-c", script, str(path)], capture_output=True, text=True, check=True)

    assert told.stdout.split() == []


def test_a_folder_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StateError, match=r"archive .* can't be written: Not a directory\. A part of that path is a file"):
        agent_archive.build(tmp_path / "file")
