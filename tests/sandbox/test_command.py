"""``callsheet sandbox`` as a process of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from shotgun_api3.shotgun import Shotgun

from callsheet.cli.commands.sandbox import command
from callsheet.errors import CallsheetError

RUN = [sys.executable, "-c", "from callsheet.cli.commands.sandbox import command; command()", "--port", "0"]


def start(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*RUN, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_in_one_line_and_ends_well(how: signal.Signals) -> None:
    # Given
    with start("--json", "--events", "30", "--fault", "status:status=503,method=update,count=1") as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        # When
        sg = Shotgun(facts["url"], facts["script"], facts["key"])
        # Then
        assert len(sg.find("EventLogEntry", [])) == 31
        with urllib.request.urlopen(facts["url"] + "/sandbox/faults", timeout=10) as answer:
            assert [one["status"] for one in json.load(answer)] == [503]
        # When
        process.send_signal(how)
        out, err = process.communicate(timeout=20)
    # Then
    assert (process.returncode, out, err) == (0, "", "")


def test_it_shows_how_to_connect_and_sums_up(tmp_path: Path) -> None:
    with start("--file", str(tmp_path / "site.db"), "--activity", "100", "--key", "open-sesame") as process:
        assert process.stdout is not None
        told = ""
        while "plugins =" not in told:
            told += process.stdout.readline()
        url = next(line.split()[1] for line in told.splitlines() if line.strip().startswith("url "))
        sg = Shotgun(url, "callsheet_demo", "open-sesame")
        while len(sg.find("EventLogEntry", [])) < 5:
            pass
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)

    assert 'key = { env = "SG_EVENT_KEY" }' in told
    assert "export SG_EVENT_KEY=open-sesame" in told
    assert "events" in out and "calls in" in out  # noqa: PT018 - one line
    assert (tmp_path / "site.db").stat().st_size > 0


def test_a_taken_port_is_told_with_the_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(command, ["--port", str(port)])

    assert isinstance(result.exception, CallsheetError)
    assert f"127.0.0.1:{port}" in str(result.exception)
    assert "--port" in str(result.exception)


@pytest.mark.parametrize("fault", ["slwo", "status:sttus=3", "status:status"])
def test_a_mistaken_fault_is_a_usage_error(fault: Any) -> None:
    result = CliRunner().invoke(command, ["--fault", fault])

    assert result.exit_code == 2
    assert fault in result.output
