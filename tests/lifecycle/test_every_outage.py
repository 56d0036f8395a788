"""Every way in which a site can't be had, with a plugin of each kind: nothing is lost, held or dead, and no attempt is used up.

A handful by default; all of them, each for so many seconds, with CALLSHEET_OUTAGES=120.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from callsheet.domain.delivery import State
from callsheet.domain.plugin import PluginState
from callsheet.report.diagnostics import troubles
from callsheet.sandbox import Sandbox
from tests.support.gateway import Fault, Gateway, Proxy, answer, certificate, says
from tests.support.running import RunningDaemon
from tests.support.studio import SITE, Studio
from tests.support.traces import legacy, noting
from tests.wire.kinds import ANSWERS, CONNECTS, HELLOS

LONG = float(os.environ.get("CALLSHEET_OUTAGES", "0"))
TIMEOUT = 0.5
SLACK = 60 if LONG else 30
BODY = """
note("began", event)
wait_for("go-%d" % event["id"])
note("tried", event)
{sg}.update("Task", 301, {{"sg_description": "event %d" % event["id"]}})
"""
PLUGINS = {
    "new": noting(BODY.format(sg="ctx.sg"), "lane='plugin', attribute='sg_status_list', retry={'attempts': 1}"),
    "legacy": legacy(BODY.format(sg="sg")),
    "lenient": legacy(BODY.format(sg="sg"), stop=False),
}
REFUSED = says(answer('{"exception": true, "message": "Can\'t authenticate script", "error_code": 102}'))
MOVED = says(answer('{"exception": true, "message": "This site is being moved.", "error_code": 104}'))
SAID: Mapping[str, Fault] = {**ANSWERS, "refused-key": REFUSED, "unknown-fault": MOVED}
SOME = {
    *("status-302", "status-403", "status-502", "html", "empty", "results-null", "gzip-cut", "reset", "refused-key"),
    *("unknown-fault", "trickle", "connect-503", "connect-dropped-inside", "connect-trickle", "hello-plain", "another-certificate"),
}


def chosen(kinds: Mapping[str, Fault]) -> list[str]:
    return [kind for kind in kinds if LONG or kind in SOME]


@dataclass(frozen=True)
class Installation:
    """A daemon with these plugins on a site that is reached over a gateway, and maybe a proxy."""

    studio: Studio
    daemon: RunningDaemon
    gateway: Gateway
    proxy: Proxy
    certificates: Mapping[str, tuple[Path, Path]]

    def break_(self, kind: str) -> None:
        if kind in SAID:
            self.gateway.fault = SAID[kind]
        elif kind in CONNECTS:
            self.proxy.fault = CONNECTS[kind]
        elif kind in HELLOS:
            self.gateway.at_hello = HELLOS[kind]
        else:
            self.gateway.certify(self.certificates["other"])
        self.gateway.drop()
        self.proxy.drop()

    def fix(self) -> None:
        self.gateway.fault = self.gateway.at_hello = self.proxy.fault = None
        self.gateway.only = ()
        if self.certificates:
            self.gateway.certify(self.certificates["site"])

    def troubles(self) -> list[str]:
        """What `status` says."""
        with self.studio.ledger() as ledger:
            return [one.what for one in troubles(ledger.overview(), "studio.toml", time.time())]


def install(
    folder: Path, gateway: Gateway, sandbox: Sandbox, proxy: Proxy | None, ca: Path | None = None
) -> tuple[Studio, RunningDaemon]:
    """Started, with all plugins ready."""
    sandbox.add_script("script", "key")
    studio = Studio(folder, {SITE: sandbox})
    site = {"url": gateway.url, "timeout": TIMEOUT, "retry_sleep": 0.3}
    if ca is not None:
        site["ca"] = str(ca)  # for the reading, and for connections of plugins, whoever makes them
    if proxy is not None:
        site["proxy"] = f"127.0.0.1:{proxy.port}"
    studio.configure(None, **site)
    with studio.config.open("a") as file:
        file.write("[retry]\nfirst = 0.05\n")
    for name, text in PLUGINS.items():
        studio.write(name, text)
    daemon = studio.started()
    daemon.until(lambda: all((one := studio.plugin(name)) and one.state is PluginState.READY for name in PLUGINS))
    return studio, daemon


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Sandbox() as sandbox, Gateway(sandbox.url) as gateway, Proxy() as proxy:
        studio, daemon = install(tmp_path_factory.mktemp("plain"), gateway, sandbox, None)
        with daemon:
            yield Installation(studio, daemon, gateway, proxy, {})


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("secured")
    certificates = {name: certificate(folder, name) for name in ("site", "other")}
    with pytest.MonkeyPatch.context() as environ, Sandbox() as sandbox:
        environ.setenv("SHOTGUN_API_RETRY_INTERVAL", "10")
        with Gateway(sandbox.url, certificates["site"]) as gateway, Proxy() as proxy:
            studio, daemon = install(folder, gateway, sandbox, proxy, certificates["site"][0])
            with daemon:
                yield Installation(studio, daemon, gateway, proxy, certificates)


def survives(installation: Installation, kind: str, *only: str) -> None:
    """``only``: what requests must say that meet it; none: all, those of the reading included."""
    studio, daemon = installation.studio, installation.daemon
    daemon.until(lambda: not installation.troubles(), SLACK)
    done = studio.states().get("done", 0)
    # Given callbacks that are in the middle of their work
    (event,) = studio.sandbox.add_events(1)
    daemon.until(lambda: all(event in studio.trace.events(name, word="began") for name in PLUGINS))

    # When the site can't be had, and there are more events
    installation.gateway.only = only
    installation.break_(kind)
    studio.trace.raise_flag(f"go-{event}")
    began = time.monotonic()
    (later,) = studio.sandbox.add_events(1)
    studio.trace.raise_flag(f"go-{later}")
    daemon.until(lambda: all(studio.trace.events(name, word="tried").count(event) >= 3 for name in PLUGINS), SLACK)
    daemon.until(installation.troubles, SLACK)
    assert any("answer" in one for one in installation.troubles()), "status says it"
    daemon.until(lambda: time.monotonic() - began >= LONG, LONG + 1)
    assert not studio.deliveries(State.HELD, State.DEAD)

    # Then all is done once it can
    installation.fix()
    daemon.until(lambda: studio.states() == {"done": done + 2 * len(PLUGINS)}, SLACK + 60)
    assert {one.attempts for one in studio.deliveries()} == {1}
    assert all(studio.trace.events(name)[-2:] == [event, later] for name in PLUGINS), "in order"
    daemon.until(lambda: not installation.troubles(), SLACK)


pytestmark = pytest.mark.timeout(240 + 3 * LONG)


@pytest.mark.parametrize("kind", chosen(SAID))
def test_of_a_gateway(plain: Installation, kind: str) -> None:
    survives(plain, kind)


@pytest.mark.parametrize("kind", ["html", "status-403", *(["trickle", "null", "204", "a-gateways-message"] if LONG else [])])
def test_of_plugins_alone(plain: Installation, kind: str) -> None:
    survives(plain, kind, '"update"')


@pytest.mark.parametrize("kind", [*chosen(CONNECTS), *chosen(HELLOS), "another-certificate"])
def test_of_a_proxy_or_of_tls(secured: Installation, kind: str) -> None:
    survives(secured, kind)
