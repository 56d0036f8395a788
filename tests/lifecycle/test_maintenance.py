"""What a daemon does on its own account: it forgets old history, and says how its services are."""

from __future__ import annotations

import sys

import pytest

from callsheet.ledgers.sqlite import SqliteLedger
from tests.contracts.ledger import ADAPTERS, Desk, delivery
from tests.support.studio import SITE, Studio


def test_a_running_daemon_forgets_what_is_older_than_the_history(studio: Studio) -> None:
    studio.state.mkdir(mode=0o700)
    desk = Desk(SqliteLedger(studio.state / "ledger.db"), studio.state, ADAPTERS["sqlite"])  # which lives in 1970
    desk.record(delivery(1, site=SITE), cursor=1)
    desk.settle_done(desk.claim_one())
    desk.ledger.close()
    assert studio.states() == {"done": 1}

    with studio.start() as daemon:
        daemon.until(lambda: studio.states() == {})


@pytest.mark.parametrize(
    ("service", "how", "name", "words"),
    [
        ("dispatch:Dispatch", "hang", "dispatch", "service dispatch hangs"),
        ("plugin_registry:PluginRegistry", "fail", "roster", "service roster fails"),
        ("heartbeat:MaintenanceService", "fail", "maintenance", "service maintenance fails"),
    ],
)
def test_a_service_that_no_longer_does_its_work_shows_while_the_daemon_lives(
    studio: Studio, service: str, how: str, name: str, words: str
) -> None:
    flag = studio.folder / "broken"
    if name == "maintenance":
        flag.touch()
    command = [sys.executable, "-m", "tests.support.broken_service", f"callsheet.services.{service}", how, str(flag)]
    with studio.start(command=command) as daemon:
        if name != "maintenance":
            daemon.until(lambda: studio.status()["well"])
        flag.touch()
        daemon.until(lambda: [one["key"] for one in studio.status()["trouble"]] == [f"service:::{name}"])
        assert words in studio.command("status").stdout
        assert studio.command("status").returncode == 1
