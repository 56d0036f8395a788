"""A plugin in its worker: loaded, registered, ready to be described and called."""

import logging
import os
import sys
from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Tuple

from callsheet.agent import loader, python2
from callsheet.agent.api import Rule, gather
from callsheet.agent.callbacks import Callback, LegacyCallback, OnCallback
from callsheet.agent.connection import Connection, Site, ThreadConnections
from callsheet.agent.entity_prefetch import EntityPrefetch
from callsheet.agent.failures import Secrets, told_of_plugin
from callsheet.agent.legacy_config import Config
from callsheet.agent.log_forwarding import at_work
from callsheet.agent.match_events import filter_of
from callsheet.agent.registrar import Registrar, check_registers
from callsheet.agent.signatures import logger_name_of, name_of, place_of
from callsheet.wire import client_patch
from callsheet.wire.frames import SITE_FAILED, Message
from callsheet.wire.transient import CallWatch, is_transient

_SHOWN = 3  # calls that were not answered


class LoadError(Exception):
    """The plugin can't be used. The fields are those of the manifest."""

    def __init__(self, problem: str, *, where: str, level: str, logger: str, passing: bool) -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.level = level
        self.logger = logger
        self.passing = passing


class Plugin:
    """One plugin of a worker: what a load message names, once ``load`` has run it. ``say`` sends a message to the daemon."""

    def __init__(
        self, setup: Message, order: Message, say: Callable[[Message], None], secrets: Secrets, toolkit: Any = None
    ) -> None:
        """``toolkit``: that of the session which the plugin is loaded in; None elsewhere."""
        self.name = str(order["plugin"])
        self.path = str(order["path"])
        self.site = str(setup["site"])
        self.callbacks: Dict[str, Callback] = {}
        self.module: Optional[ModuleType] = None
        self._toolkit = toolkit
        self._hosted = bool(order.get("hosted"))
        self._as_is = bool(order.get("as_is"))
        self._timeout: Optional[float] = order.get("timeout")
        self._prefetches: Dict[Tuple[Tuple[str, ...], str], EntityPrefetch] = {}
        self._setup = setup
        self._say = say
        self._secrets = secrets
        self._config = Config(setup["config"])
        self._reach = Site(setup["url"], setup["proxy"])
        self.logger = logging.getLogger(f"plugin.{self.name}")
        self.logger.setLevel(setup["level"])
        _equip(self.logger, self._config)
        for secret in (setup["key"], self._config.get("emails", "password", fallback=None)):
            secrets.add(secret)

    def load(self) -> None:
        """Import the file and let it register. Raises LoadError, also where it has caught that the API did not answer."""
        with CallWatch(lambda: at_work.plugin in ("", self.name)) as calls:
            try:
                self._load()
            except LoadError as error:
                error.passing = error.passing or bool(calls.unanswered)
                raise
        lost = {**calls.unanswered, **({} if self.callbacks else calls.refused)}
        if lost and not self._as_is:
            raise LoadError(
                _site_failed(self.path, list(lost.values())), where="site", level="WARNING", logger="engine", passing=True
            )

    def _load(self) -> None:
        loader.find_beside(self.path)
        if self._toolkit is None and (self._hosted or loader.mentions(self.path, b"toolkit")):
            from callsheet.agent.toolkit import sgtk_stub  # noqa: PLC0415 - most plugins never need it

            sgtk_stub.install()
        source_is_legacy = loader.mentions(self.path, b"registerCallbacks")
        if source_is_legacy:
            loader.try_import("shotgun_api3")  # before the plugin changes sys.path, as under shotgunEvents
        with gather() as rules:
            module = self.module = self._import()
            client_patch.patch_imported()  # of what was imported past the import system: a zip, on Python before 3.10
            for rule in rules:
                self._add_rule(rule)
            self._register(module, found_rules=bool(rules))

    def manifest(self) -> Message:
        """The plugin as the daemon needs to know it."""
        return self._manifest([callback.describe() for callback in self.callbacks.values()])

    def broken(self, trouble: LoadError) -> Message:
        """The manifest of a plugin that can't be used."""
        # What it has registered in an outage is told as well: if it never is more, that is all there is.
        described = [callback.describe() for callback in self.callbacks.values()] if trouble.where == "site" else []
        message = self._manifest(described)
        message.update(
            problem=self._secrets.cut(trouble.problem),
            where=trouble.where,
            level=trouble.level,
            logger=trouble.logger,
            passing=trouble.passing,
        )
        return message

    def indescribable(self, error: Exception) -> LoadError:
        """The trouble of a plugin that has registered something of which the daemon can't be told."""
        text = told_of_plugin(error, self.path, 0)
        problem = f"What the plugin at {self.path} registers can't be described.\n\n{text}"
        return LoadError(problem, where="register", level="CRITICAL", logger="engine", passing=False)

    @property
    def slots(self) -> int:
        """How many runs may be executed at once: 1 where a legacy callback expects to be alone, on the main thread.

        1 in a session as well: there is one engine, of which nobody says that threads may share it.
        """
        if self._toolkit is not None or any(isinstance(callback, LegacyCallback) for callback in self.callbacks.values()):
            return 1
        return max((callback.slots for callback in self.callbacks.values()), default=1)

    @property
    def awaits(self) -> bool:
        """Whether one of the callbacks is a coroutine function."""
        return any(callback.awaits for callback in self.callbacks.values())

    def _manifest(self, callbacks: List[Dict[str, Any]]) -> Message:
        return {
            "is": "manifest",
            "plugin": self.name,
            "pid": os.getpid(),
            "python": "{}.{}.{}".format(*sys.version_info),
            "slots": self.slots,
            "callbacks": callbacks,
            "problem": None,
            "where": "",
            "level": "ERROR",
            "logger": "",
            "passing": False,
        }

    def _import(self) -> ModuleType:
        try:
            return loader.load(self.path)
        except BaseException as error:  # noqa: BLE001 - sys.exit at import is trouble of this plugin, like any other
            text = told_of_plugin(error, self.path, 2)
            cure = python2.explain(error, self.path)
            raise LoadError(
                f"Could not load the plugin at {self.path}.\n\n" + (f"{cure}\n\n{text}" if cure else text),
                where="import",
                level="ERROR",
                logger=self.logger.name,
                passing=is_transient(error),
            ) from None

    def _register(self, module: ModuleType, *, found_rules: bool) -> None:
        function = getattr(module, "registerCallbacks", None)
        if not callable(function):
            if found_rules:
                return
            raise LoadError(
                f"Did not find a registerCallbacks function in plugin at {self.path}.",
                where="register",
                level="CRITICAL",
                logger="engine",
                passing=False,
            )
        try:
            check_registers(function)
            function(Registrar(self.logger, self._add_legacy, self._set_emails))
        except BaseException as error:  # noqa: BLE001 - as above
            text = told_of_plugin(error, self.path, 1, place=place_of(function))
            raise LoadError(
                f"Error running register callback function from plugin at {self.path}.\n\n{text}",
                where="register",
                level="CRITICAL",
                logger="engine",
                passing=is_transient(error),
            ) from None

    def _add_rule(self, rule: Rule) -> None:
        connection = ThreadConnections(lambda: self._connect(rule.script))
        name = self._free_name(rule.function)
        logger = self._child_logger(rule.function)
        script = rule.script[0] if rule.script else str(self._setup["script"])
        self.callbacks[name] = OnCallback(
            name,
            len(self.callbacks),
            logger,
            rule=rule,
            timeout=self._timeout,
            connection=connection,
            script=script,
            cascade=int(self._setup["cascade"]),
            prefetch=self._prefetches.setdefault((rule.fields, script), EntityPrefetch(rule.fields)) if rule.fields else None,
            plugin=self.name,
            site=self.site,
            toolkit=self._toolkit,
            hosted=self._hosted,
        )

    def _connect(self, script: Any) -> Any:
        name, key = script or (self._setup["script"], self._setup["key"])
        self._secrets.add(key)
        return self._reach.connect(name, key)

    def _add_legacy(
        self,
        script: Any,
        key: Any,
        callback: Any,
        *,
        form: int,
        matchEvents: Any,  # noqa: N803 - as the registrar has it
        args: Any,
        stopOnError: Any,  # noqa: N803 - the same
    ) -> None:
        self._secrets.add(key)
        name = self._free_name(callback)
        self.callbacks[name] = LegacyCallback(
            name,
            len(self.callbacks),
            self._child_logger(callback),
            function=callback,
            timeout=self._timeout,
            form=form,
            connection=Connection(self._reach.connect(script, key)),
            match_events=matchEvents,
            filter=filter_of(matchEvents),
            args=args,
            stop_on_error=bool(stopOnError),
            use_session_uuid=bool(self._setup["use_session_uuid"]),
            plugin=self.name,
            site=self.site,
            toolkit=self._toolkit,
            hosted=self._hosted,
        )

    def _free_name(self, callback: Callable[..., Any]) -> str:
        # The same after a restart, as long as the plugin registers in the same order.
        name = name_of(callback)
        taken = sum(1 for other in self.callbacks if other == name or other.startswith(f"{name}#"))
        return name if taken == 0 else f"{name}#{taken + 1}"

    def _child_logger(self, callback: Callable[..., Any]) -> logging.Logger:
        logger = self.logger.getChild(logger_name_of(callback))
        _equip(logger, self._config)
        return logger

    def _set_emails(self, emails: Any) -> None:
        self._say({"is": "emails", "plugin": self.name, "emails": emails})


def _site_failed(path: str, calls: List[str]) -> str:
    more = "" if len(calls) <= _SHOWN else f"\n… and {len(calls) - _SHOWN} more"
    return f"{SITE_FAILED}{path} loaded.\n\n" + "\n".join(calls[:_SHOWN]) + more


def _equip(logger: logging.Logger, config: Config) -> None:
    logger.__dict__["config"] = config  # shotgunEvents' plugins read logger.config
