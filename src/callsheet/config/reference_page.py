"""Renders ``docs/configuration.md`` from the table of settings.

To renew the page: ``python -m callsheet.config.reference_page > docs/configuration.md``. A test compares them.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from typing import Any

from callsheet.config.kinds import Duration, Level
from callsheet.config.setting_table import TABLES, Setting, of_table
from callsheet.domain.callback import RetryPolicy
from callsheet.settings import LogSettings, MailSettings, PluginSettings, Settings, SiteSettings, ToolkitPin, ToolkitSettings
from callsheet.wire.durations import written

HOLDERS: dict[str, type[Any]] = {
    "": Settings,
    "sites.*": SiteSettings,
    "log": LogSettings,
    "mail": MailSettings,
    "retry": RetryPolicy,
    "crew": Settings,
    "plugins.*": PluginSettings,
    "toolkit": ToolkitSettings,
    "toolkit.projects.*": ToolkitPin,
}
"""Which class has a table's fields, and so their defaults."""

MEANINGS = {
    "": "At the top of the file",
    "sites.*": "One site; a daemon may serve several. NAME is yours: it stands in logs, commands and the ledger.",
    "log": "Where log lines go.",
    "mail": "Mail for log lines of level ERROR and above.",
    "retry": "When failed deliveries of new-style callbacks are tried again, where the callback names no policy of its own.",
    "crew": "The worker processes.",
    "plugins.*": "One plugin, by name.",
    "toolkit": "Where projects have their Toolkit. What the site's PipelineConfigurations say needs nothing here.",
    "toolkit.projects.*": "One project's Toolkit, over what the site says. NAME is the project's id, name or folder.",
}

HEAD = """\
# Configuration

<!-- Made by `python -m callsheet.config.reference_page`; change the table in src/callsheet/config/setting_table.py instead. -->

`callsheet run CONFIG` takes a TOML file (`*.toml`) or an unmodified `shotgunEventDaemon.conf`; `callsheet check CONFIG` says all
that is wrong with either. This is all that a TOML file needs:

```toml
state = "/var/lib/callsheet"

[sites.studio]
url = "https://studio.shotgrid.autodesk.com"
script = "event_daemon"
key = { env = "SG_EVENT_KEY" }
plugins = ["plugins/"]
```

- **Times** are seconds, or text such as `"5s"`, `"2m"`, `"1h"`, `"14d"`.
- **Paths** that are not absolute begin at the file's own folder; `~` and `$VAR` are filled in.
- **Secrets** (keys, passwords) stand in the environment, `{ env = "NAME" }`, or in a file of their own, `{ file = "path" }`, never
  in the TOML file.
"""

TAIL = """\
## In a shotgunEventDaemon.conf

The last column names the option that means the same there. Options of a section `[callsheet]`, which shotgunEvents ignores, are
Callsheet's own. What shotgunEvents read stays as it was, except:

- `%(NAME)s` is another option of the section or an environment variable. The environment counts only where it is named: a variable
  `PORT` is no mail port, and `http_proxy` beside `HTTP_PROXY` does no harm. Its values are taken as they are.
- A `%` that begins no `%(NAME)s` is a `%`; `%%` is one `%` too.
- Relative paths begin at the conf's own folder.
- `[emails] enabled` that isn't there means true where the section is complete.
- State stands in `<eventIdFile>.callsheet/`; without `eventIdFile` in `<conf>.callsheet/`.
- The site's name is the first part of the server's host name: `studio` for `https://studio.shotgrid.autodesk.com`.
- Sections `[plugins.NAME]`, `[toolkit]` and `[toolkit.projects.NAME]`, which shotgunEvents ignores, have the keys of the tables of
  those names.
- Sections of your own are handed to plugins (`logger.config`) as ever.
"""


def render() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_table(one) for one in TABLES), TAIL])


def _table(table: str) -> str:
    title = f"`[{table.replace('*', 'NAME')}]`" if table else MEANINGS[""]
    lines = [f"## {title}", ""]
    if table:
        lines += [MEANINGS[table], ""]
    lines += ["| key | meaning | value | default | example | in a conf |", "|---|---|---|---|---|---|"]
    for setting in of_table(table).values():
        option = f"`[{setting.conf[0]}] {setting.conf[1]}`" if setting.conf else ""
        value = setting.kind.expected.partition(", in seconds")[0]  # said once, at the top of the page
        cells = (f"`{setting.key}`", setting.doc, value, _default(setting), f"`{setting.example}`", option)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _default(setting: Setting) -> str:
    if setting.required:
        return "required"
    fields = {one.name: one for one in dataclasses.fields(HOLDERS[setting.table])} if setting.to else {}
    if setting.to not in fields:
        return "`true`" if setting.key == "enabled" else "none"
    default = fields[setting.to].default
    if default is None or default is dataclasses.MISSING:
        return "none"
    return f"`{_text(setting, default)}`"


def _text(setting: Setting, default: Any) -> str:
    if isinstance(setting.kind, Duration):
        return written(default)
    if isinstance(setting.kind, Level):
        return str(logging.getLevelName(default)).lower()
    return f"{default:g}" if isinstance(default, float) else str(default).lower()


if __name__ == "__main__":
    sys.stdout.write(render())
