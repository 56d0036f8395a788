"""Failures as data: what an exception becomes when it crosses to the daemon."""

import itertools
import traceback
from types import TracebackType
from typing import Any, Dict, Iterator, List, Mapping, Optional

from callsheet.agent.context import Context
from callsheet.agent.safe_repr import STARS, shown
from callsheet.agent.toolkit.howto_hint import cure_for
from callsheet.wire.texts import cut_short

_LONG = 2000  # letters of an exception's text shown
_TEXT = 20000  # letters of a whole traceback shown
_LETTERS = 4  # a shorter secret would star out ordinary text

Failure = Dict[str, str]


class Secrets:
    """The keys that this worker knows; they are cut out of everything it says."""

    def __init__(self) -> None:
        self._known: List[str] = []

    def add(self, value: Any) -> None:
        """Hide ``value`` from now on, unless it is too short to be a key."""
        if isinstance(value, str) and len(value) >= _LETTERS and value not in self._known:
            self._known.append(value)
            escaped = repr(value)[1:-1]  # as it reads within the repr of something larger
            if escaped != value:
                self._known.append(escaped)
            self._known.sort(key=len, reverse=True)  # one may be part of another

    def cut(self, text: str) -> str:
        """``text`` with stars for secrets."""
        for value in self._known:
            if value in text:
                text = text.replace(value, STARS)
        return text


def failure_of(error: BaseException, secrets: Secrets, *, skip: int = 1) -> Failure:
    """What the daemon keeps of an exception. The first ``skip`` frames of the traceback are the agent's and left out."""
    frames = beyond(error.__traceback__, skip)
    return {
        "kind": kind_of(error),
        "text": text_of(error, secrets) + secrets.cut(cure_for(error)),
        "traceback": cut_short(secrets.cut(traceback_of(error, frames, _theirs(frames))), _TEXT),
        "locals": locals_of(frames, secrets),
    }


def text_of(said: Any, secrets: Secrets) -> str:
    """What an exception, or a reason that a plugin gives, says of itself: short, and without secrets."""
    return cut_short(secrets.cut(_text(said)), _LONG)


def kind_of(error: BaseException) -> str:
    """The exception's type, with its module unless that is Python's own or ours."""
    kind = type(error)
    known = kind.__module__ in ("builtins", "callsheet.agent.api", "callsheet.wire.answers")
    return kind.__qualname__ if known else f"{kind.__module__}.{kind.__qualname__}"


def beyond(frames: Optional[TracebackType], skip: int) -> Optional[TracebackType]:
    """The traceback without its first ``skip`` frames."""
    while frames is not None and skip:
        frames, skip = frames.tb_next, skip - 1
    return frames


def told_of_plugin(error: BaseException, path: str, skip: int, *, place: str = "") -> str:
    """The traceback of an error at import or registration. Where the agent itself refuses what the plugin at ``path`` says, the
    agent's own frames are left out and the plugin's line stands at the end. ``place``: for where no line of the plugin ran.
    """
    frames = list(_frames(error.__traceback__))
    theirs = [one for one in frames if not _is_the_agents(one)]
    shown = beyond(error.__traceback__, skip)
    if theirs and theirs[-1] is frames[-1]:
        return traceback_of(error, shown)
    if theirs:
        guilty = next((one for one in reversed(theirs) if one.tb_frame.f_code.co_filename == path), theirs[-1])
        place = f"{guilty.tb_frame.f_code.co_filename}, line {guilty.tb_lineno}"
    text = traceback_of(error, shown if theirs else None, frames.index(theirs[-1]) + 1 - skip if theirs else None)
    return f"{text} ({place})" if place else text


def _frames(frames: Optional[TracebackType]) -> Iterator[TracebackType]:
    while frames is not None:
        yield frames
        frames = frames.tb_next


def _theirs(frames: Optional[TracebackType]) -> Optional[int]:
    """How many frames there are up to the plugin's last, where the agent refuses what that line says; None: all."""
    found = [not _is_the_agents(one) for one in _frames(frames)]
    return len(found) - found[::-1].index(True) if True in found else None


def frames_around(frames: Optional[TracebackType]) -> int:
    """How many frames a callback's traceback begins with that are not the plugin's, but of what calls it."""
    return sum(1 for _ in itertools.takewhile(_calls_plugins, _frames(frames)))


def _calls_plugins(one: TracebackType) -> bool:
    name = str(one.tb_frame.f_globals.get("__name__", ""))
    return _is_the_agents(one) or name.startswith(("asyncio.", "concurrent.futures."))


def _is_the_agents(one: TracebackType) -> bool:
    return str(one.tb_frame.f_globals.get("__name__", "")).startswith("callsheet.agent.")


def traceback_of(error: BaseException, frames: Optional[TracebackType], limit: Optional[int] = None) -> str:
    """The traceback as Python prints it, from ``frames`` on, ``limit`` of them."""
    try:
        return "".join(traceback.format_exception(type(error), error, frames, limit)).rstrip()
    except Exception:  # noqa: BLE001 - an exception whose own text fails must still be reported
        return f"{kind_of(error)}: {_text(error)}"


def locals_of(frames: Optional[TracebackType], secrets: Secrets) -> str:
    """The local variables of the first frame, one per line, what is huge cut short, secrets cut out. Of a context, its event."""
    try:
        return shown(_with_events(frames.tb_frame.f_locals), secrets.cut) if frames is not None else ""
    except Exception as error:  # noqa: BLE001 - as above
        return f"<the local variables can't be shown: {type(error).__name__}>"


def _with_events(variables: Mapping[str, Any]) -> Dict[str, Any]:
    """A context shows as nothing but its name: the event that it holds is what somebody looks for."""
    found = dict(variables)
    found.update({f"{name}.event": value.event for name, value in variables.items() if isinstance(value, Context)})
    return found


def _text(said: Any) -> str:
    text: Optional[str] = None
    try:
        text = str(said)
    except BaseException:  # noqa: BLE001 - as above, for __str__
        kind = "an exception" if isinstance(said, BaseException) else "a reason"
        return f"<{kind} whose text raises, of type {type(said).__name__}>"
    return text
