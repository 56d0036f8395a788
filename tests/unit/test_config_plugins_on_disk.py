"""Which plugins stand in a site's folders: order, names, and what is left out."""

from __future__ import annotations

import os
from pathlib import Path

from callsheet.model import PluginKey
from callsheet.plugins_on_disk import LeftOut, discover, find_plugins


def make(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def names(folders: list[Path], known: dict[str, str] | None = None) -> list[str]:
    return [plugin.key.name for plugin in discover("studio", folders, known).plugins]


def test_files_come_in_plain_string_order_of_their_names(tmp_path: Path) -> None:
    files = ["10.py", "9.py", "B.py", "__init__.py", "a b.py", "a-b.py", "a.py", "a_b.py", "ab.py"]
    make(tmp_path, *reversed(files), "readme.txt", ".hidden.py", "a.pyc", "a.PY")

    found, left_out = find_plugins(tmp_path)

    assert [path.name for path in found] == files
    assert left_out == []


def test_a_plugin_is_described_by_key_path_place_and_mtime(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one", "b.py"), make(tmp_path / "two", "a.py")
    os.utime(two / "a.py", (5, 7))

    found = discover("studio", [one, two]).plugins

    assert [(plugin.key, plugin.path, plugin.ordinal) for plugin in found] == [
        (PluginKey("studio", "b"), str(one / "b.py"), 0),
        (PluginKey("studio", "a"), str(two / "a.py"), 1),
    ]
    assert found[1].mtime == 7.0
    assert found[1].generation == 0


def test_what_can_not_be_a_plugin_is_left_out_with_a_reason(tmp_path: Path) -> None:
    make(tmp_path, "a.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "dangling.py").symlink_to("nowhere")
    (tmp_path / "link.py").symlink_to("a.py")
    os.mkfifo(tmp_path / "pipe.py")

    found = discover("studio", [tmp_path])

    assert [plugin.key.name for plugin in found.plugins] == ["a", "link"]
    assert found.left_out == [
        LeftOut(tmp_path / "dangling.py", "a link whose target is missing; mend the link or remove it"),
        LeftOut(tmp_path / "folder.py", "a folder, though its name ends in .py; rename it"),
        LeftOut(tmp_path / "pipe.py", "not a regular file, though its name ends in .py; rename it"),
    ]


def test_a_folder_that_is_away_is_missing_and_the_others_are_read(tmp_path: Path) -> None:
    there = make(tmp_path / "there", "a.py")

    found = discover("studio", [tmp_path / "away", there, there / "a.py"])

    assert [plugin.key.name for plugin in found.plugins] == ["a"]
    assert found.missing == [tmp_path / "away", there / "a.py"]


def test_a_name_that_an_earlier_folder_has_carries_its_folder(tmp_path: Path) -> None:
    folders = [make(tmp_path / name, "a.py") for name in ("x/plugins", "y/plugins", "more")]
    make(folders[2], "b.py")

    assert names(folders) == ["a", "a@y.plugins", "a@more", "b"]


def test_a_folder_given_twice_is_read_once(tmp_path: Path) -> None:
    folder = make(tmp_path / "plugins", "a.py")

    assert names([folder, folder]) == ["a"]


def test_a_file_keeps_its_name_when_one_appears_in_an_earlier_folder(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two", "a.py")
    known = {plugin.path: plugin.key.name for plugin in discover("studio", [one, two]).plugins}
    make(one, "a.py")

    assert names([one, two], known) == ["a@one", "a"]


def test_a_file_keeps_its_name_while_an_earlier_folder_is_away(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one", "a.py"), make(tmp_path / "two", "a.py")
    known = {plugin.path: plugin.key.name for plugin in discover("studio", [one, two]).plugins}
    one.rename(tmp_path / "away")

    assert names([one, two], known) == ["a@two"]
    make(two, "b.py")
    assert names([one, two], {str(one / "b.py"): "b"} | known) == ["a@two", "b@two"]


def test_a_file_that_moved_takes_its_name_along(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one", "a.py"), make(tmp_path / "two")
    known = {plugin.path: plugin.key.name for plugin in discover("studio", [one, two]).plugins}
    (one / "a.py").rename(two / "a.py")

    assert names([one, two], known) == ["a"]


def test_a_file_whose_name_is_not_utf_8_is_a_plugin_with_a_name_that_can_be_kept(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "z.py")
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/d\xe9mo.py")
    Path(odd).touch()

    found = discover("studio", [tmp_path])

    assert [plugin.key.name for plugin in found.plugins] == ["a", r"d\udce9mo", "z"]
    assert found.plugins[1].path == odd
    assert (found.left_out, found.missing) == ([], [])


def test_a_file_with_an_odd_name_keeps_its_plugins_name_by_the_path_that_the_ledger_has(tmp_path: Path) -> None:
    earlier, later = make(tmp_path / "earlier"), make(tmp_path / "later")
    for folder in (earlier, later):
        Path(os.fsdecode(os.fsencode(folder) + b"/d\xe9mo.py")).touch()
    known = {rf"{later}/d\udce9mo.py": r"d\udce9mo"}

    assert names([earlier, later], known) == [r"d\udce9mo@earlier", r"d\udce9mo"]


def test_two_names_that_are_written_alike_are_two_plugins(tmp_path: Path) -> None:
    make(tmp_path, r"d\udce9mo.py")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xe9mo.py")).touch()

    assert len(set(names([tmp_path]))) == 2
