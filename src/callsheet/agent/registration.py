"""A plugin in its worker: loaded, registered, ready to be described and called."""

import contextlib
import logging
import os
import sys
import threading
from types import ModuleType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

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
from callsheet.agent.signatures import is_same, logger_name_of, name_of, place_of
from callsheet.wire.frames import SITE_FAILED, Message
from callsheet.wire.texts import passwords
from callsheet.wire.transient import CallWatch, is_transient

_SHOWN = 3  # calls that were not answered


class LoadError(Exception):
    """The plugin can't be used. The fields are those of the manifest."""

    def __init__(self, problem: str, *, where: str, level: str, logger: str, passing: bool, missing: object = None) -> None:
        """``missing``: the module that was not found."""
        super().__init__(problem)
        self.missing = missing
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
        """By name. Another object once one is added: it may be gone through while that happens."""
        self.module: Optional[ModuleType] = None
        self._toolkit = toolkit
        self._hosted = bool(order.get("hosted"))
        self._as_is = bool(order.get("as_is"))
        self._timeout: Optional[float] = order.get("timeout")
        self._prefetches: Dict[Tuple[Tuple[str, ...], str], EntityPrefetch] = {}
        self._setup = setup
        self._say = say
        self._secrets = secrets
        self._registering = threading.RLock()
        self._rules: List[Rule] = []
        self._slots: Optional[int] = None
        """Once it has loaded: what is registered from then on comes late."""
        self._described = False
        self._late: Dict[str, Optional[int]] = {}
        """What came late, and the event that was being handled then."""
        self._config = Config(setup["config"])
        self._reach = Site(setup["url"], setup["proxy"])
        self.logger = logging.getLogger(f"plugin.{self.name}")
        self.logger.setLevel(setup["level"])
        _equip(self.logger, self._config)
        for secret in (
            setup["key"],
            self._config.get("emails", "password", fallback=None),
            *passwords(setup["url"]),
            *passwords(setup["proxy"]),
        ):
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
            for rule in rules:
                self.add_rule(rule)
            self._register(module, found_rules=bool(rules))
        with self._registering:
            self._slots = self.slots

    @contextlib.contextmanager
    def describing(self) -> Iterator[Message]:
        """The manifest, to be said within the block. What is registered later has it said again."""
        with self._registering:
            yield self._manifest(list(self.callbacks.values()))
            self._described = True

    def broken(self, trouble: LoadError) -> Message:
        """The manifest of a plugin that can't be used."""
        # What it has registered in an outage is told as well: if it never is more, that is all there is.
        message = self._manifest(list(self.callbacks.values()) if trouble.where == "site" else [])
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
        if self._slots is not None:
            return self._slots
        if self._toolkit is not None or any(isinstance(callback, LegacyCallback) for callback in self.callbacks.values()):
            return 1
        return max((callback.slots for callback in self.callbacks.values()), default=1)

    @property
    def awaits(self) -> bool:
        """Whether one of the callbacks is a coroutine function."""
        return any(callback.awaits for callback in self.callbacks.values())

    def add_rule(self, rule: Rule) -> None:
        """Take in what ``on`` was told of a function. Raises TypeError for what can't be registered any more."""
        with self._registering:
            if self._slots is not None:
                if any(_are_same(rule, one) for one in self._rules):
                    return  # by a delivery that is tried again
                if rule.toolkit:
                    raise TypeError("@on(toolkit=True) counts only while the plugin is loaded: sessions load it for themselves.")
            self._rules.append(rule)
            self._add(rule.function, lambda name, ordinal: self._on_callback(rule, name, ordinal))

    def _manifest(self, callbacks: List[Callback]) -> Message:
        return {
            "is": "manifest",
            "plugin": self.name,
            "pid": os.getpid(),
            "python": "{}.{}.{}".format(*sys.version_info),
            "slots": self.slots,
            "callbacks": [
                {**one.describe(), "after": self._late[one.name]} if one.name in self._late else one.describe() for one in callbacks
            ],
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
            cure = python2.explain(error, self.path) or _hint(error)
            raise LoadError(
                f"Could not load the plugin at {self.path}.\n\n" + (f"{cure}\n\n{text}" if cure else text),
                where="import",
                level="ERROR",
                logger=self.logger.name,
                passing=is_transient(error),
                missing=error.name if isinstance(error, ModuleNotFoundError) else None,
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
            function(Registrar(self.logger, self._add_legacy, self._set_emails, lambda: self._slots is not None))
        except BaseException as error:  # noqa: BLE001 - as above
            text = told_of_plugin(error, self.path, 1, place=place_of(function))
            cure = _hint(error)
            raise LoadError(
                f"Error running register callback function from plugin at {self.path}.\n\n"
                + (f"{cure}\n\n{text}" if cure else text),
                where="register",
                level="CRITICAL",
                logger="engine",
                passing=is_transient(error),
            ) from None

    def _add(self, function: Callable[..., Any], make: Callable[[str, int], Callback]) -> None:
        """Add a callback, and have the daemon told of it if it was told of the others. Raises TypeError where that is too late."""
        with self._registering:
            late = self._slots is not None
            if late and self._toolkit is not None:
                raise TypeError(
                    "A Toolkit session can't register more callbacks: the daemon knows those that the plugin has in its own "
                    "worker. Register them while the plugin is loaded."
                )
            before = self.callbacks
            callback = make(self._free_name(function), len(before))
            if late and isinstance(callback, LegacyCallback) and self.slots > 1:
                raise TypeError(
                    f"reg.registerCallback comes too late here: callbacks of this plugin run in {self.slots} threads (slots=), and "
                    "legacy ones expect to be alone. Register it in registerCallbacks."
                )
            self.callbacks = {**before, callback.name: callback}
            if late:
                self._late[callback.name] = at_work.event
            if not self._described:
                return
            try:
                self._say(self._manifest(list(self.callbacks.values())))
            except (TypeError, ValueError) as error:  # it can't be written down
                self.callbacks = before
                raise TypeError(f"{callback.name} can't be registered, since the daemon can't be told of it: {error}") from None

    def _on_callback(self, rule: Rule, name: str, ordinal: int) -> OnCallback:
        connection = ThreadConnections(lambda: self._connect(rule.script))
        script = rule.script[0] if rule.script else str(self._setup["script"])
        return OnCallback(
            name,
            ordinal,
            self._child_logger(rule.function),
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

        def make(name: str, ordinal: int) -> LegacyCallback:
            return LegacyCallback(
                name,
                ordinal,
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

        self._add(callback, make)

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


def _hint(error: BaseException) -> str:
    """What may be wrong where a stand-in takes the place of Toolkit; "" elsewhere."""
    stub: Any = sys.modules.get("callsheet.agent.toolkit.sgtk_stub")
    return str(stub.hint(error)) if stub is not None else ""


def _site_failed(path: str, calls: List[str]) -> str:
    more = "" if len(calls) <= _SHOWN else f"\n… and {len(calls) - _SHOWN} more"
    return f"{SITE_FAILED}{path} loaded.\n\n" + "\n".join(calls[:_SHOWN]) + more


def _are_same(rule: Rule, other: Rule) -> bool:
    return all(is_same(one, another) for one, another in zip(rule, other))


def _equip(logger: logging.Logger, config: Config) -> None:
    logger.__dict__["config"] = config  # shotgunEvents' plugins read logger.config
