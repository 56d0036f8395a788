"""The options of ``on``, checked: what can't be meant is refused with the cure."""

from typing import Any, Dict, Iterable, Mapping, Optional, Tuple, Union

from callsheet.agent.signatures import check_runs, check_takes_one, is_coroutine_function
from callsheet.wire.durations import GRAMMAR, seconds_of

Names = Union[str, Iterable[str], None]
Duration = Union[float, str, None]
"""See ``callsheet.wire.durations``."""

_RETRY_TIMES = ("first", "longest", "max_age")
_RETRY_FIELDS = ("attempts", "first", "factor", "longest", "jitter", "max_age", "crashes")

LONGEST = 100 * 365.25 * 86400.0
"""Seconds: a hundred years. A longer time can't be meant, and the end of it is no date that can be shown."""
MOST_SLOTS = 1000
"""Threads of one callback."""
MOST = 2**63 - 1
"""The largest whole number that a ledger keeps, ``sys.maxsize`` on most machines."""


def check_types(event_types: Tuple[Any, ...]) -> None:
    """Raise TypeError unless these are event types, at least one."""
    for one in event_types:
        if not isinstance(one, str):
            raise TypeError(
                f'@on takes event types, not {one!r}: write @on("Shotgun_Task_Change") above the function, with parentheses.'
            )
    if not event_types:
        raise TypeError('@on needs at least one event type: @on("Shotgun_Task_Change"), or @on("*") for every event.')


def check_options(where: Any, on_dead: Any, slots: Any, script: Any) -> None:
    """Raise TypeError or ValueError for the first of these that can't be meant."""
    if where is not None and not callable(where):
        raise TypeError(f"where= is a function of the event, such as lambda event: event['entity'], not {where!r}.")
    if where is not None:
        _check_where(where)
    if on_dead not in ("continue", "hold"):
        raise ValueError(f'on_dead={on_dead!r}: say "continue" or "hold".')
    if not isinstance(slots, int) or isinstance(slots, bool) or not 1 <= slots <= MOST_SLOTS:
        raise ValueError(f"slots={slots!r}: a whole number, 1 or more, and {MOST_SLOTS} at most.")
    if script is not None and not (isinstance(script, (tuple, list)) and [type(one) for one in script] == [str, str]):
        raise TypeError(f"script= is a pair, the script user's name and its key, not {script!r}.")
    if script is not None and not script[0].strip():
        raise ValueError("script= names no script user: its first part is empty.")


def own_writes(ignore_own: Any) -> Union[bool, str]:
    """``ignore_own=`` as it is. Raises TypeError for what is none of its values."""
    if ignore_own is True or ignore_own is False or ignore_own == "script":
        return ignore_own  # type: ignore[no-any-return] # checked just now
    raise TypeError(
        f'ignore_own={ignore_own!r}: True leaves out what the plugin wrote, "script" all that its script user did, False nothing.'
    )


def _check_where(where: Any) -> None:
    """Raise TypeError for a function whose result is no answer, but would be taken for yes."""
    if is_coroutine_function(where):
        raise TypeError("where= can't be async def: it is asked just before the call, and answers at once.")
    check_runs(where)
    check_takes_one(where, "the event")


def check_together(batch: Any, settle: Any, lane: str) -> None:
    """Raise ValueError unless these go together."""
    if not isinstance(batch, int) or isinstance(batch, bool) or not 1 <= batch <= MOST:
        raise ValueError(f"batch={batch!r}: a whole number, 1 or more.")
    if batch > 1 and settle is not None:
        raise ValueError("batch= and settle= exclude each other: a burst is one call already.")
    if lane == "none" and (batch > 1 or settle is not None):
        raise ValueError('lane="none" gives every event a lane of its own, so none follows another: leave out batch= and settle=.')


def settling(settle: Duration) -> float:
    """The seconds of ``settle=``; 0 for None. Raises ValueError for what is no time."""
    if settle is None:
        return 0.0
    seconds = seconds_of(settle)
    if seconds is None or not 0 < seconds <= LONGEST:
        raise ValueError(f"settle={settle!r}: {GRAMMAR}; more than 0.")
    return seconds


def deadline(timeout: Any) -> Optional[float]:
    """The seconds of ``timeout=``; None for None. Raises ValueError for what is no time."""
    if timeout is None:
        return None
    seconds = seconds_of(timeout)
    if seconds is None or not 0 < seconds <= LONGEST:
        raise ValueError(f"timeout={timeout!r}: {GRAMMAR}; more than 0. Leave it out for no limit.")
    return seconds


def reason_of(name: str, given: Any) -> str:
    """The reason of Retry, Skip and GiveUp. Raises TypeError where it is a number, which was meant as ``after``."""
    if seconds_of(given) is not None and not isinstance(given, str):
        after = f" Write Retry(after={given!r})." if name == "Retry" else ""
        raise TypeError(f"{name}({given!r}): what comes first is the reason, a text.{after}")
    return str(given)


def pause(option: str, after: Any) -> Optional[float]:
    """The seconds of ``after=``; None for None. Raises ValueError, beginning with ``option``, for what is no time from now."""
    if after is None:
        return None
    seconds = seconds_of(after)
    if seconds is None or not 0 <= seconds <= LONGEST:
        raise ValueError(f"{option}: {GRAMMAR}; from now, so 0 or more, and 100 years at most.")
    return seconds


def texts(option: str, value: Names) -> Optional[Tuple[str, ...]]:
    """One name or several as a tuple; None for None. Raises TypeError for anything else."""
    if value is None:
        return None
    found = (value,) if isinstance(value, str) else tuple(value)
    for text in found:
        if not isinstance(text, str):
            raise TypeError(f"{option}= takes a name or several, not {text!r}.")
    return found


def retry_policy(retry: Union[int, Mapping[str, Any], None]) -> Optional[Dict[str, Any]]:
    """The fields of a retry policy that ``retry=`` names; None for None. Raises ValueError for one that is unknown or no number."""
    if retry is None:
        return None
    policy = {"attempts": retry} if isinstance(retry, int) else dict(retry)  # type: Dict[str, Any]
    for name, given in list(policy.items()):
        if name not in _RETRY_FIELDS:
            raise ValueError(f"retry={retry!r}: {name!r} is not one of {', '.join(_RETRY_FIELDS)}.")
        value = given  # type: Any
        if name in _RETRY_TIMES and isinstance(given, str):
            value = policy[name] = seconds_of(given)
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
        if not number and not (name == "max_age" and given is None):
            expected = GRAMMAR if name in _RETRY_TIMES else "a number"
            raise ValueError(f"retry={retry!r}: {name} is {expected}, 0 or more, not {given!r}.")
        most = MOST if name in ("attempts", "crashes") else LONGEST
        if number and value > most:
            raise ValueError(f"retry={retry!r}: {name} is {most:.4g} at most.")
    for name in ("attempts", "crashes"):
        if name in policy and (not isinstance(policy[name], int) or policy[name] < 1):
            raise ValueError(f"retry={retry!r}: {name} is a whole number, 1 or more; the first try counts.")
    return policy
