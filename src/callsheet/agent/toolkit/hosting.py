"""A worker that is a project's session: opening its Toolkit, calling functions in it, ending it."""

import importlib
import logging
from typing import Any, Callable, Mapping, Optional

from callsheet.agent.failures import Secrets
from callsheet.agent.log_forwarding import at_work
from callsheet.agent.registration import Plugin
from callsheet.agent.toolkit.diagnosis import ToolkitOpenError
from callsheet.agent.toolkit.integrity import Integrity
from callsheet.agent.toolkit.open_toolkit import Toolkit, open_toolkit
from callsheet.agent.toolkit.session_client import answer_to
from callsheet.wire.frames import Message
from callsheet.wire.texts import passwords
from callsheet.wire.transient import tally


def open_session(told: Mapping[str, Any], say: Callable[[Message], None], secrets: Secrets) -> Optional[Toolkit]:
    """Open the Toolkit and say what it is; None, once that was said, if it can't be had. The process is of no use then."""
    for secret in (told["key"], *passwords(told["host"]), *passwords(told["proxy"])):
        secrets.add(secret)
    before = tally()
    try:
        toolkit = open_toolkit(told)
    except ToolkitOpenError as trouble:
        # Cores put what the site did into words of their own.
        trouble.passing = trouble.passing or tally().transient > before.transient
        message = {name: secrets.cut(value) if isinstance(value, str) else value for name, value in trouble.told().items()}
        say(dict(message, **{"is": "trouble"}))
        return None
    say(dict(toolkit.facts(), **{"is": "opened"}))
    return toolkit


def close_session(toolkit: Toolkit) -> None:
    """End the engine."""
    problem = toolkit.destroy()
    if problem:
        logging.getLogger("engine").warning("The engine of a Toolkit session could not be ended in order: %s", problem)


def watch(toolkit: Toolkit, say: Callable[[Message], None]) -> Callable[[], bool]:
    """What to do after each delivery, call and load: see that the session is what it was. Returns False once it is not; then that
    was said, and nothing more may be begun in it.
    """
    integrity = Integrity(toolkit)

    def check() -> bool:
        spoiled, back = integrity.check()
        for what in back:
            logging.getLogger("engine").warning("The plugin %s %s, in a Toolkit session. It was set back.", at_work.plugin, what)
        if spoiled is not None:
            say({"is": "spoiled", "plugin": at_work.plugin, "problem": spoiled})
        return spoiled is None

    return check


def make_call(order: Message, plugin: Optional[Plugin], toolkit: Optional[Toolkit], secrets: Secrets) -> Message:
    """Call the function that the order names, in the plugin's module or one that can be imported; what to say of it."""
    own = None if plugin is None else plugin.module
    try:
        named = own is not None and order["module"] == own.__name__
        function: Any = own if named else importlib.import_module(order["module"])
        for name in order["function"].split("."):
            function = getattr(function, name)
    except Exception as error:  # noqa: BLE001 - whatever an import raises is what the caller must hear
        text = f"{order['module']}.{order['function']} was not found in the session: {error}"
        return {
            "is": "answer",
            "call": order["call"],
            "failure": {"kind": type(error).__name__, "text": text, "traceback": "", "lost": False},
        }
    return answer_to(order, function, toolkit, secrets)
