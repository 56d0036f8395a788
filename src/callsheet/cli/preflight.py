"""What would fail at a start, or later, though the configuration reads well. Nothing is made or changed."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from callsheet.config.document import PLUGINS, PROJECTS
from callsheet.config.load import Loaded
from callsheet.config.mistakes import did_you_mean
from callsheet.errors import ConfigError, StateError, in_words
from callsheet.first_start import check_id_file
from callsheet.runtimes.interpreters import OLDEST, numbers
from callsheet.state_folder import LEDGER, examine, unusable
from callsheet.workers.worker_messages import client_folder

_ASKED = "import sys; print('%d.%d' % sys.version_info[:2]); sys.stdout.flush(); sys.path.append(sys.argv[1]); import shotgun_api3"
_PATIENCE = 30.0
"""Seconds that an interpreter gets to say its version."""


def refuse(loaded: Loaded) -> None:
    """Raise ConfigError with all that a start would be refused for, or no plugin could run with."""
    found = [*_of_state(loaded), *_of_files(loaded), *_of_pythons(loaded)]
    if found:
        raise ConfigError([f"{place}: {text}" for place, text in found])


def troubles(loaded: Loaded, plugins: Sequence[str] | None, *, offline: bool) -> list[str]:
    """What a daemon does without, or runs the worse for: a line each, with its place in the file and its cure.

    ``plugins``: the names of all that were found; None where that can't be told, as with a folder that is away.
    """
    found = [*([] if plugins is None else _of_names(loaded, plugins)), *_of_toolkit(loaded), *([] if offline else _of_mail(loaded))]
    return [f"{place}: {text}" for place, text in found]


def _of_state(loaded: Loaded) -> Iterator[tuple[str, str]]:
    settings = loaded.settings
    problem = examine(settings.state, settings.group)
    if problem is not None:
        yield loaded.place("", "state"), f"the folder {settings.state} {problem}."
    elif (settings.state / LEDGER).exists():
        problem = unusable(settings.state / LEDGER, file=True)
        if problem is not None:
            yield loaded.place("", "state"), f"the ledger {settings.state / LEDGER} {problem}."
    else:
        try:
            check_id_file(settings)
        except StateError as error:
            yield loaded.place("", "import_state"), str(error)


def _of_files(loaded: Loaded) -> Iterator[tuple[str, str]]:
    settings, log = loaded.settings, loaded.settings.log
    if log.file is not None:
        path = (log.path or Path()) / log.file
        timing = [path.with_name(f"{path.name}.timing")] if log.timing else []
        key = "path" if loaded.place("log", "path") != str(settings.source) else "file"
        for one in (path, *timing):
            problem = unusable(one, file=True)
            if problem is not None:
                yield loaded.place("log", key), f"the log file {one} {problem}."
                break
    if settings.pid_file is not None:
        problem = unusable(settings.pid_file, file=True)
        if problem is not None:
            yield loaded.place("", "pid_file"), f"the pid file {settings.pid_file} {problem}."


def _of_pythons(loaded: Loaded) -> Iterator[tuple[str, str]]:
    settings = loaded.settings
    named = [("crew", settings.python), ("toolkit", settings.toolkit.python)]
    named += [(PROJECTS + name, pin.python) for name, pin in settings.toolkit.projects.items()]
    for table, python in named:
        problem = None if python is None else _unfit(python, client=table == "crew")
        if problem is not None:
            yield loaded.place(table, "python"), problem


def _unfit(python: str, *, client: bool) -> str | None:
    """Why workers can't run in that Python. ``client``: shotgun_api3 must be there, which a session has from its core."""
    oldest = ".".join(map(str, OLDEST))
    cure = f"name a Python {oldest} or later"
    try:
        done = subprocess.run(  # noqa: S603 - it is what workers would be started with
            [python, "-c", _ASKED, client_folder() or ""],
            capture_output=True,
            check=False,
            timeout=_PATIENCE,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{python} can't be run ({error}); {cure}"
    version = done.stdout.decode("ascii", "replace").strip()
    if numbers(version) < OLDEST:
        return f"{python} is {f'Python {version}' if version else 'no Python that runs'}, and workers need {oldest}; {cure}"
    if client and done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = f" ({said[-1]})" if said else ""
        return f"{python} can't import shotgun_api3{why}; install it there: {python} -m pip install shotgun_api3"
    return None


def _of_names(loaded: Loaded, plugins: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in loaded.settings.plugins:
        if name not in plugins:
            meant = did_you_mean(name, plugins)
            cure = f"did you mean {meant}?" if meant else "correct the name, which is the file's without .py, or remove this"
            yield loaded.place(PLUGINS + name), f"there is no plugin {name} in any folder; {cure}"


def _of_toolkit(loaded: Loaded) -> Iterator[tuple[str, str]]:
    toolkit = loaded.settings.toolkit
    named = [("toolkit", key, getattr(toolkit, key)) for key in ("configs", "studio", "starter")]
    named += [(PROJECTS + name, "config", pin.config) for name, pin in toolkit.projects.items()]
    for table, key, path in named:
        place = loaded.place(table, key)
        if path is None or place == str(loaded.settings.source):
            continue  # by default there need be none
        try:
            if not stat.S_ISDIR(path.stat().st_mode):
                yield place, f"{path} is a file, expected a folder; correct the path"
        except OSError as error:
            yield place, f"the folder {path} can't be read: {in_words(error)}."


def _of_mail(loaded: Loaded) -> Iterator[tuple[str, str]]:
    from callsheet.logs.mailer import refusal  # noqa: PLC0415 - most need no mail library

    mail = loaded.settings.mail
    said = None if mail is None else refusal(mail)
    if mail is not None and said is not None:
        text = f"no mail can be sent through {mail.server}:{mail.port} ({said}); correct [mail], or see that the server answers"
        yield loaded.place("mail", "server"), text
