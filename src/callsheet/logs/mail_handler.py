"""Mail for errors: who gets one. Records of level ERROR and above of the engine and of plugins' own loggers go to the post.

A plugin's ``reg.setEmails(…)`` arrives as ``plugin.emails``: True the configured addresses, False none, a list those. It holds
until the plugin has loaded again without saying so anew: a plugin that fails to load still writes to its own people.
"""

from __future__ import annotations

import logging

from callsheet.domain.callback import PluginKey
from callsheet.logs.mail_message import MailMessage
from callsheet.logs.mailer import Mailer
from callsheet.settings import MailSettings
from callsheet.telemetry import Signal, subscribe, unsubscribe

GRACE = 3.0
"""Seconds given at the end to what still waits."""


class MailHandler:
    """Sends mails for records from the moment it is made until ``close``."""

    def __init__(self, settings: MailSettings, *, first_wait: float = 2.0) -> None:
        self._default = settings.to
        self._own: dict[PluginKey, tuple[str, ...]] = {}
        self._unsaid: set[PluginKey] = set()
        self._mailer = Mailer(settings, first_wait=first_wait)
        subscribe(self._on_plugin, "plugin.emails", "plugin.loading", "plugin.reloading", "plugin.ready")

    def __call__(self, record: logging.LogRecord, plugin: PluginKey | None) -> None:
        """Send ``record`` to those whom ``plugin`` (None: the engine) writes to. Returns at once."""
        if record.name != "engine" and not record.name.startswith("plugin."):
            return  # a library inside a plugin: in the log only, as in shotgunEvents
        to = self._default if plugin is None else self._own.get(plugin, self._default)
        if to:
            self._mailer.offer(MailMessage.of(record, to))

    def close(self, grace: float = GRACE) -> None:
        """Stop listening; send what waits, within ``grace`` seconds."""
        unsubscribe(self._on_plugin)
        self._mailer.close(grace)

    def _on_plugin(self, signal: Signal) -> None:
        plugin = PluginKey(signal.facts["site"], signal.facts["plugin"])
        if signal.name == "plugin.emails":
            self._unsaid.discard(plugin)
            self._own[plugin] = self._addresses(signal.facts["emails"])
        elif signal.name != "plugin.ready":
            self._unsaid.add(plugin)
        elif plugin in self._unsaid:
            self._unsaid.discard(plugin)
            self._own.pop(plugin, None)

    def _addresses(self, emails: object) -> tuple[str, ...]:
        if isinstance(emails, bool):
            return self._default if emails else ()
        if isinstance(emails, str):
            return (emails,)
        return tuple(str(one) for one in emails) if isinstance(emails, (list, tuple)) else self._default
