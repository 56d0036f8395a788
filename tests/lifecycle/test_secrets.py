"""A key, and the password in an address: used, and never shown, stored or handed on."""

from __future__ import annotations

import pytest

from tests.support.studio import SITE, Studio

PASSWORD = "pass%40word-of-ada"
MEANT = "pass@word-of-ada"
TELLING = """
import os
from callsheet import on

@on("Shotgun_Task_Change")
def tell(ctx):
    ctx.log.warning("environment %r, client %r", dict(os.environ), vars(ctx.sg.config))
    print(dict(os.environ), vars(ctx.sg.config), flush=True)
    where = ctx.sg.base_url
    address, authorization = where, vars(ctx.sg.config)
    raise ValueError(f"at {where} with {authorization}")
"""


def guarded(studio: Studio) -> str:
    return studio.sandbox.url.replace("://", f"://ada:{PASSWORD}@")


def everything(studio: Studio) -> dict[str, bytes]:
    """What was written and what commands show."""
    shown = {str(path): path.read_bytes() for path in [*studio.state.rglob("*"), *studio.folder.glob("*.stderr")] if path.is_file()}
    for words in (["status"], ["status", "--json"], ["deliveries", "--failures"], ["deliveries", "--json"], ["check"], ["workers"]):
        done = studio.command(*words)
        shown[" ".join(words)] = (done.stdout + done.stderr).encode()
    return shown


@pytest.mark.parametrize("away", [False, True], ids=["answers", "away"])
def test_a_password_in_the_address_and_the_key_are_nowhere(studio: Studio, *, away: bool) -> None:
    studio.configure(url=guarded(studio), retries=2)
    studio.write("plugin", TELLING)
    studio.drain()
    studio.sandbox.add_event("Shotgun_Task_Change")
    if away:
        studio.sandbox.stop()
    with studio.start() as daemon:
        daemon.until(lambda: daemon.said("Unable to connect" if away else "environment {"))
        shown = everything(studio)
        daemon.stop()
    shown |= everything(studio)

    key = studio.sandbox.key.encode()
    for secret in (PASSWORD.encode(), MEANT.encode(), key):
        assert not [name for name, text in shown.items() if secret in text]
    assert studio.sandbox.url.encode() in shown["status --json"]
    assert SITE.encode() in shown["status"]
    assert away or b"KEY_OF" not in shown["deliveries --json"] + shown[str(studio.folder / "daemon.stderr")]
