"""What every command that reads or operates begins with: find the configuration, open its ledger."""

from __future__ import annotations

import errno
import getpass
import os
import shlex
import socket
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from callsheet.errors import ConfigError, StateError, in_words
from callsheet.ports import Ledger
from callsheet.state_folder import LEDGER, may, owner_of, user_name

VARIABLE = "CALLSHEET_CONFIG"
DEFAULTS = ("callsheet.toml", "shotgunEventDaemon.conf")
SYSTEM = tuple(map(Path, ("/etc/callsheet/callsheet.toml", "/etc/callsheet.toml", "/etc/shotgunEventDaemon.conf")))


@dataclass(frozen=True, slots=True)
class CommandContext:
    """An open ledger, and whose it is. ``config``: CONFIG as the user has to type it again, empty where it was found by itself."""

    ledger: Ledger
    config: str


def config_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument CONFIG: a path, or None where it was left out."""
    return click.argument("config", required=False, metavar="[CONFIG]")(function)


def find_config(
    given: str | None, environ: Mapping[str, str] = os.environ, folder: Path | None = None, system: Sequence[Path] = SYSTEM
) -> Path:
    """The configuration to use: the one given, else CALLSHEET_CONFIG, else a file with a usual name in ``folder`` (default: here),
    else the first of ``system`` that there is.

    Raises ConfigError where there is none.
    """
    here = folder or Path.cwd()
    if given:
        return _existing(Path(given), "")
    if environ.get(VARIABLE):
        return _existing(Path(environ[VARIABLE]), f" ({VARIABLE} names it)")
    usual = (*(here / name for name in DEFAULTS), *system)
    found = next((path for path in usual if os.path.isfile(path)), None)  # noqa: PTH113 - Path's raises where it may not look
    if found is None:
        looked = f"neither {' nor '.join(DEFAULTS)} in {here}, nor {' nor '.join(map(str, system))}"
        raise ConfigError([f"No CONFIG given, {VARIABLE} is not set, and there is {looked}. Name one: CONFIG."])
    return found


def _existing(path: Path, how: str) -> Path:
    try:
        found = stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
        found = False
    except OSError as error:
        raise ConfigError([f"The configuration {path}{how} can't be read: {in_words(error)}."]) from None
    if not found:
        raise ConfigError([f"There is no configuration {path}{how}. Give the path of a TOML file or of a shotgunEventDaemon.conf."])
    return path


@contextmanager
def opened(given: str | None) -> Iterator[CommandContext]:
    """Open the ledger of that CONFIG (None: the one found by ``find_config``); closed at the end of the block.

    Raises ConfigError for a configuration that can't be used, StateError where no daemon has run with it yet.
    """
    path = find_config(given)
    ledger = open_ledger(state_folder(path), path)
    try:
        yield CommandContext(ledger, shlex.quote(given) if given else "")
    finally:
        ledger.close()


def state_folder(config: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The state folder that a configuration names. Nothing else in it need be right here and now.

    An operator's shell has not the daemon's keys in its environment, and `status` is asked when a disk of plugins is away. Where
    the folder itself can't be made out, ConfigError says all that is wrong.
    """
    from callsheet.config import load  # noqa: PLC0415 - `--help` and `new` do without all this
    from callsheet.config.kinds import ParseContext  # noqa: PLC0415
    from callsheet.config.legacy_conf import read_conf  # noqa: PLC0415
    from callsheet.config.load import is_toml, read_text  # noqa: PLC0415
    from callsheet.config.mistakes import BadValueError, Findings  # noqa: PLC0415
    from callsheet.config.setting_table import of_table  # noqa: PLC0415
    from callsheet.config.toml_file import read_toml  # noqa: PLC0415

    text, findings = read_text(config), Findings(config)
    document = read_toml(config, text, findings) if is_toml(config) else read_conf(config, text, environ, findings)
    around = ParseContext(config.absolute().parent, environ, conf=document.conf)
    try:
        for key in ("state", "import_state"):
            value = document.value("", key)
            if value is not None:
                named: Path = of_table("")[key].kind.parse(value, around)
                return named if key == "state" else named.with_name(f"{named.name}.callsheet")
    except BadValueError:
        pass
    return load(config, environ).state


def open_ledger(state: Path, config: Path) -> Ledger:
    """Open the ledger in that state folder; never makes one."""
    file = state / LEDGER
    try:
        found = file.exists()
    except PermissionError as error:
        raise StateError(_not_yours(file, state)) from error
    except OSError as error:
        raise StateError(f"The ledger {file} can't be read: {in_words(error)}.") from error
    if not found:
        raise StateError(
            f"No daemon has run with {config} yet: there is no {file}. Begin with `callsheet check {config}`, then `callsheet run "
            f"{config}`."
        )
    if not may(file, os.R_OK | os.W_OK) and not _is_read_only(file):
        raise StateError(_not_yours(file, file))
    from callsheet.ledgers.sqlite import SqliteLedger  # noqa: PLC0415 - `--help` and `new` do without it

    return SqliteLedger(file, create=False)


def _not_yours(ledger: Path, denied: Path) -> str:
    """What to do about a ledger that is another user's. ``denied``: the file or folder of it that can't be read or written."""
    try:
        owner = owner_of(denied)
    except OSError:  # what is above it can't be entered either
        return f"The ledger {ledger} can't be read: {in_words(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))}."
    me, again = user_name(os.geteuid()), shlex.join(["sudo", "-u", owner, "callsheet", *sys.argv[1:]])
    return (
        f"The ledger {ledger} belongs to user {owner}, and user {me} may not read and write it. Do this as that user: `{again}`. "
        "Or let a group of operators do it: name theirs as `group` in the configuration, and start the daemon anew."
    )


def _is_read_only(file: Path) -> bool:
    """Whether its disk is, which has nothing to do with whose the file is."""
    return bool(os.statvfs(file).f_flag & os.ST_RDONLY)


def who() -> str:
    """The operator, as recorded with what they do: ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
