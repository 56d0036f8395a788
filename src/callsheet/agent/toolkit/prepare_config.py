"""A short-lived process that brings a distributed configuration to this disk, with a starter core that stands alone.

``python -c "…; from callsheet.agent.toolkit.prepare_config import main; main()"``, with the pipes of ``stdio``. It reads
one message and writes one, as frames of ``wire.frames``, and ends::

    {"is": "prepare", "starter": folder to import sgtk from, "project": link, "engine": str | null, "plugin_id": str,
     "configuration": id or name of the PipelineConfiguration | null, "base": descriptor | null, "host", "script", "key", "proxy",
     "home": str, "timeout": float, "only": "descriptor" | absent}

    {"is": "prepared", "config": str, "core": folder to import sgtk from, "version": str, "descriptor": {…}, "python": str | null}
    {"is": "resolved", "descriptor": {…}}        for "only": "descriptor": what would be prepared now
    {"is": "trouble", "kind", "problem", "cure", "passing", "traceback"}
"""

import logging
import os
import socket
from typing import Any, Dict, Mapping, NoReturn, Optional

from callsheet.agent import parent_death, stdio
from callsheet.agent.toolkit.diagnosis import ToolkitOpenError, recognised, subject
from callsheet.agent.toolkit.open_toolkit import import_core, log_in, version_of
from callsheet.wire import frames


def main() -> NoReturn:
    """Be that process."""
    parent_death.tie()
    commands, channel = stdio.take()
    told = frames.read(commands)
    if told is None:
        os._exit(0)
    try:
        logging.basicConfig(level=logging.WARNING)
        socket.setdefaulttimeout(told["timeout"])
        answer = prepare(told)
    except ToolkitOpenError as trouble:
        answer = dict(trouble.told(), **{"is": "trouble"})
    channel.send(answer)
    stdio.flush()
    os._exit(0)  # threads that a core left behind must not keep it


def prepare(told: Mapping[str, Any]) -> Dict[str, Any]:
    """The answer to the request. Raises ToolkitOpenError."""
    doing = "importing the starter core from {}".format(told["starter"])
    try:
        sgtk = import_core(told["starter"])
        doing = "logging in as script {}".format(told["script"])
        manager = manager_for(sgtk, told, log_in(sgtk, told))
        project = {"type": "Project", "id": told["project"]["id"]}
        doing = "asking {} for its configuration".format(told["host"])
        descriptor = manager.resolve_descriptor(project)
        _expect_one(descriptor, told)
        if told.get("only") == "descriptor":
            return {"is": "resolved", "descriptor": dict(descriptor.get_dict())}
        doing = f"preparing {descriptor.get_dict()}"
        config, descriptor = manager.prepare_engine(told["engine"], project)
        core = sgtk.get_core_python_path_for_config(config)
        return {
            "is": "prepared",
            "config": config,
            "core": core,
            "version": version_of(core),
            "descriptor": dict(descriptor.get_dict()),
            "python": interpreter_of(descriptor),
        }
    except Exception as error:
        raise recognised(error, told, doing) from error


def manager_for(sgtk: Any, told: Mapping[str, Any], user: Any) -> Any:
    """A ToolkitManager that takes the very configuration that was decided on, whatever the environment or a sandbox says."""
    manager = sgtk.bootstrap.ToolkitManager(sg_user=user)
    manager.plugin_id = told["plugin_id"]
    manager.allow_config_overrides = False
    if told.get("base"):
        manager.base_configuration = told["base"]
    if told.get("configuration") is None:
        manager.do_shotgun_config_lookup = False
    else:
        manager.pipeline_configuration = told["configuration"]
    return manager


def _expect_one(descriptor: Any, told: Mapping[str, Any]) -> None:
    if descriptor is None:
        raise ToolkitOpenError(
            "no-configuration",
            "{} The site has none for plugin id {}.".format(subject(told), told["plugin_id"]),
            "See the PipelineConfiguration's plugin_ids and its user restrictions, or name a base configuration.",
        )


def descriptor_now(sgtk: Any, told: Mapping[str, Any]) -> Dict[str, Any]:
    """What a distributed configuration would be prepared from now, asked with a core that is open already.

    One or two reads, and nothing in the process changes by it. Raises ToolkitOpenError.
    """
    try:
        manager = manager_for(sgtk, told, sgtk.get_authenticated_user())
        return dict(manager.resolve_descriptor({"type": "Project", "id": told["project"]["id"]}).get_dict())
    except Exception as error:
        raise recognised(error, told, "asking {} for its configuration".format(told["host"])) from error


def interpreter_of(descriptor: Any) -> Optional[str]:
    """The interpreter that the configuration names for this system; None if it names none."""
    try:
        found = descriptor.python_interpreter
    except Exception as error:
        if type(error).__name__ == "TankFileDoesNotExistError":
            return None
        raise
    return str(found) if found else None
