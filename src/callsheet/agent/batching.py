"""Deliveries that are called together: a batch, as a list; or a burst, of which the last one stands for all."""

from typing import Any, Callable, Dict, List, NamedTuple, Tuple

from callsheet.agent import verdicts
from callsheet.agent.context import Apart, Context
from callsheet.agent.failures import Failure, Secrets, text_of
from callsheet.agent.verdicts import OK, Verdict


class Member(NamedTuple):
    """One delivery of a call, as in a run message."""

    delivery: int
    attempt: int
    go_on: bool
    event: Dict[str, Any]


class Batch:
    """A call with a list of contexts."""

    def __init__(self, call: Callable[[List[Context], float], None], contexts: List[Context]) -> None:
        self._call = call
        self._contexts = contexts

    def run(self, began: float) -> None:
        """Call the plugin's function; raises what that raises. ``began``: as of ``Callback.call``."""
        self._call(self._contexts, began)

    def verdicts(self, outcome: Verdict, secrets: Secrets) -> List[Verdict]:
        """Of each: what the callback said of it apart, or what came of the call."""
        return [_apart(one.apart, secrets) if one.apart else outcome for one in self._contexts]


class Burst:
    """A call with the last of several events."""

    def __init__(self, call: Callable[[Context, float], None], last: Context) -> None:
        self._call = call
        self._last = last

    def run(self, began: float) -> None:
        """As for a batch."""
        self._call(self._last, began)

    def verdicts(self, outcome: Verdict, _secrets: Secrets) -> List[Verdict]:
        """Those that were folded are done with only if the call is: else all are called again, or dead, together."""
        folded = outcome
        if outcome.word in ("ok", "skip"):
            folded = verdicts.skipped(f"folded into event {self._last.event['id']}")
        return [*[folded] * len(self._last.folded), outcome]


def reported(members: List[Member], found: List[Verdict], on_dead: str) -> Tuple[List[Tuple[Member, Verdict, bool]], bool]:
    """What to report of a call, in order, and whether the run goes on behind it.

    Behind one that is to be tried again only those are reported that share its failure, since the others are to come after it in
    their lane, and are called again. The flag: it shares the failure of one reported before, and need not be told again.
    """
    said: List[Tuple[Member, Verdict, bool]] = []
    stop = None
    told: List[Verdict] = []
    for member, verdict in zip(members, found):
        if stop is not None and verdict is not stop:
            break
        shares = any(verdict is one for one in told)
        said.append((member, _short(verdict) if shares else verdict, shares))
        if verdict is not OK and verdict.word != "skip" and not shares:
            told.append(verdict)
        if not verdicts.goes_on(verdict, on_dead, told=member.go_on):
            stop = verdict
    return said, stop is None


def _short(verdict: Verdict) -> Verdict:
    failure = verdict.failure
    return verdict if failure is None else verdict._replace(failure={"kind": failure["kind"], "text": failure["text"]})


def _apart(apart: Apart, secrets: Secrets) -> Verdict:
    reason = text_of(apart.reason, secrets)
    if apart.word == "done":
        return OK
    if apart.word == "skip":
        return verdicts.skipped(reason)
    word, kind = {"retry": ("retry", "Retry"), "fail": ("failed", "Failed"), "give_up": ("give_up", "GiveUp")}[apart.word]
    failure: Failure = {"kind": kind, "text": reason}
    return Verdict(word, failure, apart.after)
