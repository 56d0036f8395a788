"""Which plugins stand in a site's folders: order, names, what is left out, and which files are other ones than were loaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from callsheet.discovery import COARSE, SETTLE, LeftOut, Watch, discover, find_plugins
from callsheet.domain.callback import PluginKey
from callsheet.domain.plugin import PluginFile


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
        LeftOut(tmp_path / "dangling.py", "a link whose target is missing; fix the link or remove it"),
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


@dataclass
class Looks:
    """Looks at ``x.py`` of a folder again and again, on a clock of the test's, and loads it when that is due."""

    folder: Path
    now: float = 100.0
    seen: Callable[[PluginFile], PluginFile] = lambda file: file
    """What the file system makes of a file before it is seen."""
    loads: list[str] = field(default_factory=list)
    gone: bool = False

    def __post_init__(self) -> None:
        self._watch = Watch(lambda: self.now)
        self.file = self.folder / "x.py"

    def look(self, times: int = 1) -> int:
        """Look, SETTLE apart; how often it was loaded by that."""
        before = len(self.loads)
        for _ in range(times):
            self.now += SETTLE
            found = discover("studio", [self.folder]).plugins
            for file in map(self.seen, found):
                if self._watch.is_another(file):
                    self.loads.append(self.file.read_text())
                    self._watch.loaded(file)
            self.gone = not found and self._watch.gone(PluginKey("studio", "x"))
        return len(self.loads) - before


@pytest.fixture
def looks(tmp_path: Path) -> Looks:
    """With the file written, dated a day ago and loaded, and left alone for some looks."""
    looks = Looks(make(tmp_path / "plugins", "x.py"))
    looks.file.write_text("first")
    date(looks.file, days=1)
    assert looks.look(2) == 1
    assert looks.look(20) == 0
    return looks


def date(file: Path, *, days: float = 0.0, seconds: float = 0.0) -> None:
    at = 1_700_000_000 - days * 86400 - seconds
    os.utime(file, (at, at))


def save_in_place(looks: Looks) -> None:
    looks.file.write_text("other")


def save_by_renaming(looks: Looks) -> None:
    fresh = looks.file.with_suffix(".new")
    fresh.write_text("other")
    fresh.replace(looks.file)


def save_by_moving_the_old_one_away(looks: Looks) -> None:
    looks.file.rename(looks.file.with_suffix(".py~"))
    assert looks.look() == 0  # somebody looks just now
    looks.file.write_text("other")


def roll_back(looks: Looks) -> None:
    backup = looks.folder / "backup"
    backup.write_text("other")
    date(backup, days=300)
    shutil.copy2(backup, looks.file)


def restore_of_the_same_time_and_size(looks: Looks) -> None:
    looks.file.unlink()
    looks.file.write_text("other")
    date(looks.file, days=1)


def change_the_link(looks: Looks) -> None:
    release = make(looks.folder.parent / "releases", "x.py") / "x.py"
    release.write_text("other")
    date(release, days=1)
    looks.file.unlink()
    looks.file.symlink_to(release)


@pytest.mark.parametrize(
    "change",
    [
        save_in_place,
        save_by_renaming,
        save_by_moving_the_old_one_away,
        roll_back,
        restore_of_the_same_time_and_size,
        change_the_link,
    ],
)
def test_another_file_is_loaded_once_whatever_its_time(looks: Looks, change: Callable[[Looks], None]) -> None:
    change(looks)
    assert looks.look(20) == 1
    assert looks.loads[-1] == "other"


def test_a_folder_that_is_a_link_to_another_release_has_other_files(tmp_path: Path) -> None:
    # Given two releases whose plugins are alike to the byte and the second; what they import may differ
    for release in ("1", "2"):
        (make(tmp_path / release, "x.py") / "x.py").write_text("same")
        date(tmp_path / release / "x.py")
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "2")
    looks = Looks(link)
    assert looks.look(20) == 1
    # When
    link.unlink()
    link.symlink_to(tmp_path / "1")
    # Then
    assert looks.look(20) == 1


def test_a_file_that_is_touched_is_loaded_and_one_whose_rights_change_is_not(looks: Looks) -> None:
    date(looks.file, days=1, seconds=-COARSE)
    assert looks.look(20) == 1
    looks.file.chmod(0o400)
    assert looks.look(20) == 0


def test_a_file_is_not_loaded_while_it_grows(looks: Looks) -> None:
    for _ in range(10):
        with looks.file.open("a") as file:
            file.write("+")
        assert looks.look() == 0
    assert looks.look(20) == 1
    assert looks.loads[-1] == "first++++++++++"


def test_a_second_text_of_the_same_second_and_size_is_seen(looks: Looks) -> None:
    # Given a share that counts whole seconds
    looks.file.write_text("other")
    date(looks.file)
    assert looks.look(2) == 1
    # When it is saved again within the second that the first one bears
    looks.file.write_text("newer")
    date(looks.file)
    # Then that is seen
    assert looks.look(3) == 1
    assert looks.loads[-1] == "newer"


def test_what_a_share_makes_of_time_and_inode_reloads_nothing(looks: Looks) -> None:
    # Given a share that rounds times once the server has the file, and gives it another inode whenever it is asked
    count = iter(range(1, 1000))

    def odd(file: PluginFile) -> PluginFile:
        assert file.stamp is not None
        number = next(count)
        mtime = file.stamp.mtime + (0 if number % 3 else 999_999_999)
        return replace(file, stamp=file.stamp._replace(mtime=mtime, inode=number))

    looks.seen = odd
    # Then nothing is loaded for that, and a change is seen nevertheless
    assert looks.look(40) == 0
    save_in_place(looks)
    assert looks.look(20) == 1


def test_a_file_is_gone_once_that_has_lasted(looks: Looks) -> None:
    looks.file.unlink()
    assert [(looks.look(), looks.gone) for _ in range(2)] == [(0, False), (0, True)]
    looks.file.write_text("first")
    assert looks.look(20) == 1
