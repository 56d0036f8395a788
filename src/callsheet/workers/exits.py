"""Why a worker was killed, and what its end means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from callsheet.domain.callback import PluginKey
from callsheet.domain.delivery import Delivery, Verdict
from callsheet.domain.plugin import PluginFile
from callsheet.ports import Message

CLOSED = "PipeClosed"
"""The kind of failure where a plugin closed what the worker speaks through."""


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """What a worker's end means. ``how`` it was lost, None if it ended as it should; ``suspects``: one of them may be guilty."""

    said: list[Message]
    how: str | None = None
    suspects: Sequence[Delivery] = ()
    loading: PluginFile | None = None
    """The plugin that it was loading."""
    culprit: PluginKey | None = None
    """The plugin whose delivery is to blame."""
    late: bool = False
    """It was killed since a delivery took too long; the retry policy says when to go on."""
    stacks: str = ""
    """What its threads were doing at the end, if that is known."""


@dataclass(frozen=True, slots=True)
class KillReason:
    """Why a worker is killed: of the deliveries it runs, ``culprits`` are to blame (none: nobody is)."""

    culprits: frozenset[int] = frozenset()
    verdict: Verdict = Verdict.CRASHED
    kind: str = "WorkerLost"
    why: str = ""


def nonsense(heads: Iterable[Delivery], name: str, error: Exception) -> KillReason:
    """It does not keep to the protocol."""
    return KillReason(_ids(heads), why=f"The worker of {name} was killed, since it talked nonsense: {error}")


def too_late(heads: Iterable[Delivery]) -> KillReason:
    """Deliveries are past their deadline."""
    return KillReason(_ids(heads), Verdict.TIMEOUT, "Timeout", "It took longer than its timeout.")


def too_large(heads: Iterable[Delivery], size: int, limit: int) -> KillReason:
    """It fills the machine's memory."""
    why = f"The worker had grown to {_megabytes(size)}, far above its limit of {_megabytes(limit)}, and was killed."
    return KillReason(_ids(heads), kind="OutOfMemory", why=why)


def call_too_long() -> KillReason:
    """A call in it takes too long, or its caller is gone. Whoever made the call is told; deliveries beside it come again."""
    return KillReason(why="a call in it took longer than its timeout, or than its caller waited")


def ended(heads: Iterable[Delivery]) -> KillReason:
    """An operator does not want to wait for what it runs."""
    return KillReason(_ids(heads), why="The worker was ended by an operator in the middle of this delivery (toolkit retire --now).")


def loading_too_long(patience: float) -> KillReason:
    """It does not get ready."""
    return KillReason(why=f"loading took longer than {patience:g} s")


def begins_nothing(patience: float) -> KillReason:
    """It was given runs and does nothing at all."""
    return KillReason(why=f"it began nothing of what it was given for {patience:g} s")


def hung_up(heads: Iterable[Delivery]) -> KillReason:
    """It can say nothing any more."""
    why = (
        "The worker had to end, since something in it closed the pipe to the daemon. A plugin must leave descriptors alone that it "
        "did not open itself; os.closerange and os.close of a number do this harm."
    )
    return KillReason(_ids(heads), kind=CLOSED, why=why)


def _ids(heads: Iterable[Delivery]) -> frozenset[int]:
    return frozenset(head.id for head in heads)


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MB"
