"""What a daemon does on its own account: it forgets old history."""

from __future__ import annotations

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
