"""Reading id files of shotgunEvents: every shape they have, and that nothing in one executes."""

from __future__ import annotations

import datetime as dt
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callsheet.errors import StateError
from callsheet.legacy.idfile import IdFile, Place, Waiting, plan, present, read

WRITTEN = dt.datetime(2026, 11, 22, 12, 0, 0)  # noqa: DTZ001 - naive local, as shotgunEvents writes them


def write(folder: Path, content: bytes) -> Path:
    path = folder / "daemon.id"
    path.write_bytes(content)
    os.utime(path, (WRITTEN.timestamp(), WRITTEN.timestamp()))
    return path


def in_seconds(seconds: float) -> dt.datetime:
    return WRITTEN + dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol_is_read(tmp_path: Path, protocol: int) -> None:
    data = {"/plugins": {"a": (17, {15: in_seconds(200), 16: in_seconds(201.5)}), "b": (None, {})}, "/møre": {"c": (2**40, {})}}

    found = read(write(tmp_path, pickle.dumps(data, protocol)))

    assert found.single is None
    assert found.problem is None
    assert found.folders == {
        "/plugins": {"a": Place(17, (Waiting(15, 200.0), Waiting(16, 201.5))), "b": Place(None)},
        "/møre": {"c": Place(2**40)},
    }


def test_a_pickle_of_python_2_is_read(tmp_path: Path) -> None:
    """Python 2 wrote texts and the inside of a datetime as bytes; spelt out here, since no Python 3 writes that."""
    inside = pickle.dumps(in_seconds(60))
    state = inside[inside.index(b"C\x0a") + 2 :][:10]
    folder = "/møre".encode()
    content = (
        b"\x80\x02}U" + bytes([len(folder)]) + folder + b"}U\x01aK\x11}K\x0fcdatetime\ndatetime\nU\x0a" + state + b"\x85Rs\x86ss."
    )

    assert read(write(tmp_path, content)).folders == {"/møre": {"a": Place(17, (Waiting(15, 60.0),))}}


def test_ids_whose_wait_was_over_when_the_file_was_written_are_dropped(tmp_path: Path) -> None:
    data = {"/plugins": {"a": (17, {15: in_seconds(-1), 16: in_seconds(1)})}}

    assert read(write(tmp_path, pickle.dumps(data))).folders["/plugins"]["a"].backlog == (Waiting(16, 1.0),)


@pytest.mark.parametrize("content", [b"4711", b"4711\n", b"  4711 \nwhatever follows\n"])
def test_an_old_file_holds_one_id(tmp_path: Path, content: bytes) -> None:
    assert read(write(tmp_path, content)).single == 4711


@pytest.mark.parametrize("content", [b"", b" \n\n"])
def test_an_empty_file_is_reported_and_not_fatal(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, content)

    assert read(path).problem == (
        f"id file {path} is empty, as an old daemon leaves it when killed while writing: no place to go on from; restore it from a "
        "backup, start with `callsheet run --from ID` to begin at that event, or move it away to begin at the newest"
    )


CURE = (
    "restore it from a backup, start with `callsheet run --from ID` to begin at that event, or move it away to begin at the newest"
)


def test_a_file_cut_off_anywhere_is_a_clear_error_or_reported_empty(tmp_path: Path) -> None:
    whole = pickle.dumps({"/plugins": {"a": (17, {15: in_seconds(200)})}}, 5)
    for length in range(1, len(whole)):
        with pytest.raises(StateError, match=r"is damaged or no id file: .*; restore it from a backup"):
            read(write(tmp_path, whole[:length]))


@pytest.mark.parametrize("content", [b"hello", b"\x00" * 64, b"-5\n", b"0\n", b"000", b"\xff\xfe\x80\x05random"])
def test_other_bytes_are_a_clear_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(StateError, match="no id file"):
        read(write(tmp_path, content))


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StateError) as caught:
        read(tmp_path / "none.id")
    assert str(caught.value) == (
        f"id file {tmp_path}/none.id can't be read (No such file or directory); name the eventIdFile of the old daemon, or {CURE}"
    )


def test_what_is_no_file_is_a_clear_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for path, why in ((tmp_path, "it is no file"), (tmp_path / "pipe", "it is no file"), (tmp_path / "link", "No such file")):
        assert present(path)
        with pytest.raises(StateError, match=f"can't be read \\({why}"):
            read(path)


@pytest.mark.parametrize("path", ["none.id", "none/none.id", "file/none.id"])
def test_what_is_not_there_is_told_from_what_cannot_be_seen(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert not present(tmp_path / path)

    def forbidden(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "lstat", forbidden)
    with pytest.raises(StateError, match="Permission denied"):
        present(tmp_path / path)


@pytest.mark.parametrize(
    ("data", "expected", "found"),
    [
        ([1], "a dict of folders", "list"),
        (17, "a dict of folders", "int"),
        ({1: {}}, "folder → dict of plugins", "dict"),
        ({"/p": [1]}, "folder → dict of plugins", "list"),
        ({"/p": {1: (1, {})}}, "plugin names", "int"),
        ({"/p": {"a": "x"}}, "(last id, backlog)", "str"),
        ({"/p": {"a": (True, {})}}, "(last id, backlog)", "tuple"),
        ({"/p": {"a": (-1, {})}}, "(last id, backlog)", "tuple"),
        ({"/p": {"a": (0, {})}}, "(last id, backlog)", "tuple"),
        ({"/p": {"a": (2**70, {})}}, "(last id, backlog)", "tuple"),
        ({"/p": {"a": (1, {}, 2)}}, "(last id, backlog)", "tuple"),
        ({"/p": {"a": (1, {2: 3})}}, "id → expiry in a backlog", "int"),
        ({"/p": {"a": (1, {"x": WRITTEN})}}, "id → expiry in a backlog", "datetime"),
    ],
)
def test_data_of_another_shape_is_a_clear_error(tmp_path: Path, data: Any, expected: str, found: str) -> None:
    path = write(tmp_path, pickle.dumps(data))

    with pytest.raises(StateError) as caught:
        read(path)

    assert str(caught.value) == f"id file {path} is no id file: expected {expected}, found {found}; {CURE}"


class Calls:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self._call = (function, args)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._call


class Refers(pickle.Pickler):
    """Writes everything as a persistent id, which an unpickler has to look up."""

    def persistent_id(self, obj: Any) -> Any:
        return "elsewhere" if isinstance(obj, dict) else None


def malicious(mark: Path) -> dict[str, bytes]:
    """Pickles that would make ``mark`` when unpickled without restraint."""
    command = f"touch {mark}"
    refers = io.BytesIO()
    Refers(refers).dump({})
    return {
        "os.system": pickle.dumps({"/p": Calls(os.system, command)}),
        "protocol 0": pickle.dumps({"/p": Calls(os.system, command)}, 0),
        "eval": pickle.dumps(Calls(eval, f"__import__('os').system({command!r})")),
        "getattr": pickle.dumps(Calls(getattr, dt.datetime, "now")),
        "partial class": b"cfunctools\npartial\n.",
        "dotted name": b"\x80\x04\x8c\x08datetime\x8c\x0cdatetime.now\x93)R.",
        "other datetime": b"cdatetime\ntimedelta\n(I1\ntR.",
        "inst": b"(S'" + command.encode() + b"'\nios\nsystem\n.",
        "obj": b"(cos\nsystem\nS'" + command.encode() + b"'\no.",
        "codecs.decode": b"c_codecs\ndecode\n(S'x'\nS'rot13'\ntR.",
        "codecs.encode to something else": b"c_codecs\nencode\n(S'x'\nS'zlib'\ntR.",
        "state on the class": b"cdatetime\ndatetime\n}S'now'\nI1\nsb.",
        "state on the helper": b"c_codecs\nencode\n}S'evil'\nI1\nsb.",
        "extension": b"\x80\x02\x82\x01.",
        "persistent": refers.getvalue(),
        "next buffer": b"\x80\x05\x97.",
        "builtin subclass": pickle.dumps(Calls(type, "X", (), {})),
    }


@pytest.mark.parametrize("how", sorted(malicious(Path("mark"))))
def test_nothing_in_an_id_file_executes(tmp_path: Path, how: str) -> None:
    mark = tmp_path / "executed"
    path = write(tmp_path, malicious(mark)[how])

    with pytest.raises(StateError, match="no id file"):
        read(path)

    assert not mark.exists()
    assert dt.datetime.now is not None
    assert callable(dt.datetime.now)


def test_the_malicious_pickles_are_ones_that_would_execute(tmp_path: Path) -> None:
    """The proof that the test above can fail."""
    mark = tmp_path / "executed"
    pickle.loads(malicious(mark)["os.system"])
    assert mark.exists()


def places(**folders: dict[str, Place]) -> IdFile:
    return IdFile(Path("x"), folders={f"/{name}": names for name, names in folders.items()})


@pytest.mark.parametrize("folder", ["/one", "/one/", "/one/./x/.."])
def test_a_plugin_goes_on_where_its_own_folder_says(folder: str) -> None:
    idfile = IdFile(Path("x"), folders={"/two": {"a": Place(99)}, folder: {"a": Place(5, (Waiting(3, 9.0),))}})

    assert plan(idfile, [(Path("/one"), "a")]) == {(Path("/one"), "a"): Place(5, (Waiting(3, 9.0),))}


def test_a_folder_that_was_configured_relatively_is_found_from_the_base() -> None:
    idfile = IdFile(Path("x"), folders={"/two": {"a": Place(99)}, "plugins": {"a": Place(5)}})

    assert plan(idfile, [(Path("/conf/plugins"), "a")], Path("/conf")) == {(Path("/conf/plugins"), "a"): Place(5)}


def test_a_plugin_that_moved_goes_on_from_its_best_place_elsewhere() -> None:
    idfile = places(one={"a": Place(5)}, two={"a": Place(9, (Waiting(7, 9.0),)), "b": Place(99)}, three={"a": Place(None)})

    assert plan(idfile, [(Path("/new"), "a")]) == {(Path("/new"), "a"): Place(9, (Waiting(7, 9.0),))}


def test_a_plugin_that_the_file_does_not_know_begins_at_the_newest_event() -> None:
    idfile = places(one={"a": Place(5), "b": Place(None)})

    assert plan(idfile, [(Path("/one"), "new"), (Path("/one"), "b")]) == {
        (Path("/one"), "new"): Place(None),
        (Path("/one"), "b"): Place(None),
    }


def test_of_an_old_file_all_plugins_stand_at_its_id() -> None:
    idfile = IdFile(Path("x"), single=7)

    assert plan(idfile, [(Path("/one"), "a"), (Path("/two"), "b")]) == {
        (Path("/one"), "a"): Place(7),
        (Path("/two"), "b"): Place(7),
    }
