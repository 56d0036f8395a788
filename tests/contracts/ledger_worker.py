"""A process that works on a ledger until it is killed: ``python -m tests.contracts.ledger_worker ADAPTER FOLDER ROLE``.

Says on stdout, a JSON line each, what the ledger has acknowledged: {"ready": pid}, {"recorded": [event id, …]}, {"done": […]}.
Roles: ``daemon`` takes the lock, then records and settles for ever; ``owner`` takes the lock and waits for the end of stdin;
``operator`` skips and retries until the end of stdin.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from itertools import count
from pathlib import Path

from callsheet.domain.delivery import DeliveryQuery, Outcome, State
from callsheet.domain.operation import Operation, Verb
from callsheet.domain.reading import Intake
from callsheet.ports import Ledger
from tests.contracts.ledger import ADAPTERS, PLUGIN, delivery
from tests.support.events import SITE


def say(**fact: object) -> None:
    """In one write, so that a kill leaves whole lines or none."""
    os.write(1, (json.dumps(fact) + "\n").encode())


def work(ledger: Ledger) -> None:
    ledger.recover(f"worker {os.getpid()}", time.time())
    say(ready=os.getpid())
    cursor = ledger.site(SITE).cursor or 0
    for first in count(cursor + 1, 20):
        numbers = list(range(first, first + 20))
        page = tuple(delivery(number, lane=f"lane {number % 3}") for number in numbers)
        ledger.record(Intake(SITE, page, cursor=numbers[-1]), time.time())
        say(recorded=numbers)
        while runs := ledger.claim({PLUGIN: 2}, 5, "worker", time.time())[0]:
            for run in runs:
                outcomes = [Outcome(one.id, State.DONE, 1, 0, time.time(), time.time()) for one in run.deliveries]
                ledger.settle(outcomes[:3], [], time.time())
                say(done=[one.event_id for one in run.deliveries[:3]])
                ledger.settle(outcomes[3:], [run.id], time.time())
                say(done=[one.event_id for one in run.deliveries[3:]])


def operate(ledger: Ledger) -> None:
    listener = threading.Thread(target=sys.stdin.read, daemon=True)
    listener.start()
    say(ready=os.getpid())
    chance = random.Random(os.getpid())
    while listener.is_alive():
        verb = chance.choice([Verb.SKIP, Verb.RETRY])
        ledger.operate(Operation(verb, "ada", query=DeliveryQuery(event_id=chance.randrange(1, 400))), time.time())


def main() -> None:
    adapter, folder, role = sys.argv[1:]
    ledger = ADAPTERS[adapter].open(Path(folder))
    if role == "daemon":
        work(ledger)
    elif role == "operator":
        operate(ledger)
    else:
        ledger.recover(role, time.time())
        say(ready=os.getpid())
        sys.stdin.read()
    ledger.close()


if __name__ == "__main__":
    main()
