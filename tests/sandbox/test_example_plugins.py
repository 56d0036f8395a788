"""The example plugins of shotgunEvents find on the sandbox every type, field and value that they ask for by default."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import sys
import zoneinfo
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from callsheet.sandbox import Sandbox

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif("CALLSHEET_REFERENCE" not in os.environ, reason="CALLSHEET_REFERENCE names no checkout of shotgunEvents"),
]


class Registrar:
    """Counts registrations; what it logs says why there are none."""

    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger(name)
        self.registered = 0

    def registerCallback(self, *_args: Any, **_options: Any) -> None:  # noqa: N802 - the plugins' name for it
        self.registered += 1


def test_every_example_plugin_registers(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given
    monkeypatch.setenv("SG_SERVER", sandbox.url)
    if importlib.util.find_spec("pytz") is None:
        pytz: Any = ModuleType("pytz")
        pytz.timezone = zoneinfo.ZoneInfo
        monkeypatch.setitem(sys.modules, "pytz", pytz)
    registered = {}
    # When
    for file in sorted(Path(os.environ["CALLSHEET_REFERENCE"]).glob("src/examplePlugins/*.py")):
        for name in re.findall(r"SGDAEMON_\w+?_(?:NAME|KEY)", file.read_text(encoding="utf-8")):
            monkeypatch.setenv(name, sandbox.script if name.endswith("NAME") else sandbox.key)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        plugin: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(plugin)
        registrar = Registrar(file.stem)
        plugin.registerCallbacks(registrar)
        registered[file.stem] = registrar.registered
    # Then
    assert len(registered) >= 27
    assert [name for name, count in registered.items() if not count] == [], caplog.text
