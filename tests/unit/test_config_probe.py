"""Asking a site whether it answers: one line for each way in which it doesn't, from real sockets on the loopback."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from callsheet.cli.commands.check import command
from callsheet.config.probe import Answer, probe
from callsheet.errors import ConfigError
from callsheet.settings import Secret, SiteSettings

KEY = "s3cret-key"
INFO = {"version": [8, 76, 0], "api_max_entities_per_page": 500}


def site(url: str, **settings: Any) -> SiteSettings:
    return SiteSettings("studio", url, "event_daemon", Secret(KEY), (), **{"timeout": 5.0, **settings})


@contextmanager
def serving(status: int, body: Any, *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that answers everything but ``info`` with that status and body (JSON, or bytes as they are); gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["method_name"]
            answer = INFO if asked == "info" and status < 300 else body
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if data[:1] == b"{" else "text/html")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_CONNECT(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def events(*ids: int) -> dict[str, Any]:
    entities = [{"type": "EventLogEntry", "id": one} for one in ids]
    return {"results": {"entities": entities, "paging_info": {"has_next_page": False, "entity_count": len(ids)}}}


def fault(message: str, code: int) -> dict[str, Any]:
    return {"exception": True, "message": message, "error_code": code}


@pytest.mark.parametrize(("ids", "newest"), [((4711,), 4711), ((), 0)])
def test_a_site_that_answers_says_its_newest_event(ids: tuple[int, ...], newest: int) -> None:
    with serving(200, events(*ids)) as port:
        assert probe(site(f"http://127.0.0.1:{port}")) == Answer(newest=newest)


ANSWERS = [
    (
        200,
        fault("Can't authenticate script", 102),
        (
            "it answers, but refuses script 'event_daemon' with this key; "
            "compare both with the site's Scripts page, where a key can be renewed"
        ),
    ),
    (
        200,
        fault("read not permitted", 103),
        "it answers, but with a fault: read not permitted; may script 'event_daemon' read event log entries?",
    ),
    (
        403,
        b"blocked",
        (
            "it answers with HTTP 403: access is blocked; "
            "ask the site's administrator whether this machine's address may use the API"
        ),
    ),
    (
        404,
        b"<html>",
        (
            "it answers with HTTP 404: no Flow Production Tracking site is there; "
            "fix url: it ends with the host, as in https://studio.shotgrid.autodesk.com"
        ),
    ),
    (429, b"", "it answers with HTTP 429: it has too many requests at the moment; try again in a minute"),
    (500, b"", "it answers with HTTP 500: that is the site's own trouble; try again later, as the daemon does by itself"),
    (418, b"", "it answers with HTTP 418: fix url, and proxy if there is one"),
]


@pytest.mark.parametrize(("status", "body", "said"), ANSWERS, ids=[said[:40] for _, _, said in ANSWERS])
def test_a_site_that_says_no_is_told_with_its_cure(status: int, body: Any, said: str) -> None:
    with serving(status, body) as port:
        assert probe(site(f"http://127.0.0.1:{port}")) == Answer(problem=said)


@pytest.mark.parametrize("body", [b'{"this is": no JSON', b"<html>welcome</html>", [], {"results": 5}])
def test_something_that_is_no_site_is_told(body: Any) -> None:
    with serving(200, body) as port:
        assert probe(site(f"http://127.0.0.1:{port}")).problem == (
            f"something answers at http://127.0.0.1:{port}, but it is no Flow Production Tracking site; fix url"
        )


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_a_port_where_nobody_listens_is_told(unused_port: int) -> None:
    assert probe(site(f"http://127.0.0.1:{unused_port}")).problem == (
        "127.0.0.1 refuses the connection, since nothing listens at that port; fix url or proxy"
    )


def test_an_unknown_host_is_told() -> None:
    assert probe(site("https://studio.invalid")).problem == (
        "the host name of studio.invalid is unknown; fix its spelling, or this machine's name service (DNS)"
    )


def test_a_site_that_never_answers_is_told_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert probe(site(f"http://127.0.0.1:{port}", timeout=0.2)).problem == (
            "127.0.0.1 did not answer within 0.2 s; is a firewall in between, or a proxy needed?"
        )


def test_a_site_without_tls_is_told() -> None:
    with serving(200, events(1)) as port:
        said = probe(site(f"https://127.0.0.1:{port}")).problem or ""
    assert said.startswith("127.0.0.1 does not speak TLS (")
    assert said.endswith("); should url begin with http://, or is a proxy needed?")


def test_a_certificate_that_nobody_trusts_is_told(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    subprocess.run([openssl, *made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)

    with serving(200, events(1), tls=tls) as port:
        said = probe(site(f"https://localhost:{port}")).problem or ""

    assert said.startswith("the certificate of localhost is not trusted (self")
    assert said.endswith('); name the file of your certificate authority: ca = "FILE" in the site (a conf: ca in [callsheet])')


def test_a_proxy_that_says_no_is_told_without_its_password() -> None:
    with serving(407, b"") as port:
        said = probe(site("https://studio.invalid", proxy=f"me:pr0xy-pw@127.0.0.1:{port}")).problem
    assert said == (
        f"proxy ***@127.0.0.1:{port} does not let us through (407 Proxy Authentication Required); fix proxy, or ask whoever runs it"
    )


def test_a_proxy_that_is_not_there_is_told(unused_port: int) -> None:
    assert probe(site("https://studio.invalid", proxy=f"127.0.0.1:{unused_port}")).problem == (
        f"proxy 127.0.0.1:{unused_port} refuses the connection, since nothing listens at that port; fix url or proxy"
    )


# The command.


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "b.py").touch()
    (plugins / "a.py").touch()
    (plugins / "gone.py").symlink_to("nowhere")
    return tmp_path / "callsheet.toml"


def check(path: Path, port: int, *arguments: str, environ: dict[str, str] | None = None) -> tuple[object, str]:
    path.write_text(
        f'state = "state"\n[sites.studio]\nurl = "http://127.0.0.1:{port}"\nscript = "event_daemon"\n'
        'key = { env = "SG_EVENT_KEY" }\nplugins = ["plugins"]\n'
    )
    env = {"SG_EVENT_KEY": KEY} if environ is None else environ
    result = CliRunner(env=env).invoke(command, [str(path), *arguments], standalone_mode=False)
    assert KEY not in result.output
    if result.exception:
        raise result.exception
    return result.return_value, result.output


def test_check_says_that_all_is_well(toml: Path) -> None:
    with serving(200, events(4711)) as port:
        code, said = check(toml, port)

    assert code == 0
    assert (
        said
        == f"""\
{toml}: no mistakes
state: {toml.parent}/state

site studio: http://127.0.0.1:{port}
  answers, and accepts script 'event_daemon'; its newest event is 4711
  2 plugins in {toml.parent}/plugins
    a
    b
    left out: gone.py: a link whose target is missing; fix the link or remove it

All is well.
"""
    )


def test_check_says_what_is_wrong_with_a_site(toml: Path) -> None:
    with serving(200, fault("Can't authenticate script", 102)) as port:
        code, said = check(toml, port)

    assert code == 1
    assert "  trouble: it answers, but refuses script 'event_daemon' with this key; compare both" in said
    assert said.endswith("Trouble with studio. The daemon can start all the same: it tries on, and catches up.\n")


def test_check_says_that_a_folder_of_plugins_is_away(toml: Path, unused_port: int) -> None:
    (toml.parent / "plugins").rename(toml.parent / "elsewhere")
    code, said = check(toml, unused_port, "--offline")
    assert code == 1
    assert f"note: {toml}:6: [sites.studio] plugins: folder {toml.parent}/plugins does not exist" in said
    assert f"  trouble: the folder {toml.parent}/plugins is not there" in said
    assert said.endswith("Trouble with studio. The daemon can start all the same: it tries on, and catches up.\n")

    code, said = check(toml, unused_port, "--offline", "--json")
    assert code == 1
    assert json.loads(said)["sites"][0]["missing"] == [f"{toml.parent}/plugins"]


def test_check_asks_nobody_when_offline(toml: Path, unused_port: int) -> None:
    code, said = check(toml, unused_port, "--offline")

    assert code == 0
    assert "answers" not in said
    assert said.endswith("All is well, as far as the files go.\n")


def test_check_gives_facts_as_json(toml: Path) -> None:
    with serving(200, events(4711)) as port:
        code, said = check(toml, port, "--json")

    assert code == 0
    assert json.loads(said) == {
        "config": str(toml),
        "well": True,
        "problems": [],
        "notes": [],
        "trouble": [],
        "state": str(toml.parent / "state"),
        "sites": [
            {
                "site": "studio",
                "url": f"http://127.0.0.1:{port}",
                "script": "event_daemon",
                "newest": 4711,
                "problem": None,
                "doubts": [],
                "missing": [],
                "plugins": [{"plugin": name, "path": f"{toml.parent}/plugins/{name}.py"} for name in ("a", "b")],
                "left_out": [
                    {
                        "path": f"{toml.parent}/plugins/gone.py",
                        "reason": "a link whose target is missing; fix the link or remove it",
                    }
                ],
            }
        ],
    }


def test_check_raises_all_mistakes_and_gives_them_as_json(toml: Path) -> None:
    line = (
        f"{toml}:5: [sites.studio] key: environment variable SG_EVENT_KEY is not set; "
        "export SG_EVENT_KEY=… for the user who runs callsheet"
    )

    with pytest.raises(ConfigError) as caught:
        check(toml, 1, environ={})
    assert caught.value.problems == [line]

    code, said = check(toml, 1, "--json", environ={})
    assert code == 2
    assert json.loads(said) == {"config": str(toml), "well": False, "problems": [line], "notes": [], "sites": []}
