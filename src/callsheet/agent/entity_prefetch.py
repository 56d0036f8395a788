"""What ``ctx.entity`` shows, read for many deliveries in one ``find``.

When a callback asks for its entity, those that the next runs of this worker will ask for are read with it. A value is given to the
one delivery that it was read for, once, and only while it is young. A run is the beginning of what its lane has, and a lane is with
one run at a time: so only the first call of a run that waits is read for ahead, and nothing that runs in its lane comes in between.
"""

import copy
import threading
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

YOUNG = 1.0
"""Seconds from the request for which a value may be handed over."""

MOST = 200
"""Entities per request."""

LARGEST = 2**31
"""Ids of entities are below it: a site refuses a request that names a larger one."""

Link = Tuple[str, int]


class EntityPrefetch:
    """The values of callbacks that show the same fields and read them as the same script user. Used by all threads."""

    def __init__(self, fields: Sequence[str]) -> None:
        self.fields = list(fields)
        self._lock = threading.Lock()
        self._expected: Dict[int, Link] = {}
        self._found: Dict[int, Tuple[float, Any]] = {}

    def expect(self, delivery: int, event: Any) -> None:
        """This delivery is going to be called before long, with nothing of its lane in between."""
        link = event.get("entity") if isinstance(event, dict) else None
        kind, number = (link.get("type"), link.get("id")) if isinstance(link, dict) else (None, None)
        # One that a site refuses, or that is no link at all, must not fail the request that others share.
        if kind and isinstance(kind, str) and type(number) is int and 0 < number < LARGEST:
            with self._lock:
                self._expected[delivery] = (kind, number)

    def forget(self, delivery: int) -> None:
        """This delivery is over, or was given back."""
        with self._lock:
            self._expected.pop(delivery, None)
            self._found.pop(delivery, None)

    def read(self, delivery: int, link: Dict[str, Any], sg: Any, *, anew: bool) -> Optional[Dict[str, Any]]:
        """The entity of a delivery; None where the site shows none. ``anew``: what was read before the call is not good enough."""
        kind, number = link["type"], link["id"]
        with self._lock:
            self._expected.pop(delivery, None)
            since, entity = self._found.pop(delivery, (0.0, None))
            if not anew and since and time.monotonic() - since < YOUNG:
                return entity  # type: ignore[no-any-return] # what find gives
            others = self._others(kind, number)
        now = time.monotonic()
        ids = list(dict.fromkeys([number, *others.values()]))
        condition = ["id", "is", number] if len(ids) == 1 else ["id", "in", ids]
        entities = {one["id"]: one for one in sg.find(kind, [condition], self.fields)}
        with self._lock:
            for other, its in others.items():
                if other in self._expected:
                    self._found[other] = (now, copy.deepcopy(entities.get(its)))
        return entities.get(number)

    def _others(self, kind: str, number: int) -> Dict[int, int]:
        """Delivery → entity id of those to be read along, oldest first. Called under the lock."""
        young = time.monotonic() - YOUNG
        others: Dict[int, int] = {}
        entities = {number}
        for delivery, (its_kind, its) in self._expected.items():
            if its_kind != kind or self._found.get(delivery, (0.0, None))[0] > young:
                continue
            entities.add(its)
            if len(entities) > MOST:
                break
            others[delivery] = its
        return others


def first_call(deliveries: List[Any], calls: Optional[List[int]]) -> List[Any]:
    """The deliveries of a run message that are called first."""
    return deliveries[: calls[0] if calls else 1]
