"""Pretend artists at work: changes through the site's own write paths, so that their events are real.

Which changes are made follows from the seed alone; when they are made, from the rate.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any, Self

from callsheet.sandbox.auth import Actor
from callsheet.sandbox.instance import Sandbox
from callsheet.sandbox.paths import held, name_of
from callsheet.sandbox.store import Entity
from callsheet.sandbox.values import Link
from callsheet.sandbox.writes import Writer

_NEXT_STATUS = {"wtg": "rdy", "rdy": "ip", "ip": "rev", "rev": "apr", "apr": "fin", "fin": "ip", "hld": "ip", "na": "wtg"}
_REMARKS = (
    "Nice weight.",
    "A little slower, please.",
    "The fog pops at the end.",
    "Ready for the director.",
    "Try it without the lamp.",
)


class Activity:
    """``rate`` changes per second while the ``with`` block runs, or one per call of ``step``; the same ones for a ``seed``."""

    def __init__(self, sandbox: Sandbox, rate: float = 1.0, seed: int = 0) -> None:
        if rate <= 0:
            raise ValueError(f"the rate of changes per second must be above 0, not {rate}")
        if not all(sandbox.site.store.all_of(one) for one in ("HumanUser", "Task", "Version", "Shot")):
            raise ValueError("artists need people, shots, tasks and versions to work on: begin with the sandbox's own show")
        self.steps = 0
        self._site = sandbox.site
        self._pause = 1.0 / rate
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._deeds: dict[Callable[[Writer, Entity], None], int] = {
            self._set_status: 60,
            self._submit_version: 12,
            self._write_note: 8,
            self._review: 8,
            self._assign: 6,
            self._retime: 6,
        }

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="sandbox-activity", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Make no more changes; returns when the last one is made."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def step(self) -> None:
        """One change by one artist."""
        deed = self._random.choices(list(self._deeds), list(self._deeds.values()))[0]
        with self._site.store.lock:
            people = [one for one in self._site.store.all_of("HumanUser") if not one.retired]
            artist = self._random.choice(people)
            deed(self._site.writer(Actor(artist.link, name_of(self._site.store, artist))), artist)
        self.steps += 1

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            self.step()

    def _any(self, entity_type: str) -> Entity:
        """An entity of that type that belongs to a project and is not in the trash."""
        return self._random.choice(
            [one for one in self._site.store.all_of(entity_type) if not one.retired and one.values.get("project")]
        )

    def _set_status(self, writer: Writer, _artist: Entity) -> None:
        task = self._any("Task")
        status = _NEXT_STATUS.get(task.values.get("sg_status_list") or "wtg", "ip")
        writer.update(_request(task.link, sg_status_list=status))

    def _submit_version(self, writer: Writer, artist: Entity) -> None:
        task = self._any("Task")
        entity = self._held(task, "entity")
        if entity is None:
            return
        take = len(self._site.store.referring(task.link, "Version", "sg_task")) + 1
        shot = self._site.store.get(entity)
        name = f"{name_of(self._site.store, shot) if shot else entity.id}_{task.values.get('content', 'work')}_v{take:03}"
        links = {
            "project": _json(task.values["project"]),
            "entity": _json(entity),
            "sg_task": _json(task.link),
            "user": _json(artist.link),
        }
        writer.create(_request(Link("Version", 0), code=name, sg_first_frame=1001, sg_last_frame=1048, frame_count=48, **links))

    def _write_note(self, writer: Writer, artist: Entity) -> None:
        version = self._any("Version")
        text = self._random.choice(_REMARKS)
        links = {"project": _json(version.values["project"]), "note_links": [_json(version.link)], "user": _json(artist.link)}
        writer.create(_request(Link("Note", 0), subject=f"About {version.values.get('code')}", content=text, **links))

    def _review(self, writer: Writer, _artist: Entity) -> None:
        writer.update(_request(self._any("Version").link, sg_status_list=self._random.choice(("vwd", "apr", "rev", "fna"))))

    def _assign(self, writer: Writer, artist: Entity) -> None:
        task = self._any("Task")
        mode = "remove" if artist.link in (task.values.get("task_assignees") or ()) else "add"
        request = _request(task.link, task_assignees=[_json(artist.link)])
        request["fields"][0]["multi_entity_update_mode"] = mode
        writer.update(request)

    def _retime(self, writer: Writer, _artist: Entity) -> None:
        shot = self._any("Shot")
        writer.update(_request(shot.link, sg_cut_out=(shot.values.get("sg_cut_out") or 1048) + self._random.choice((-2, -1, 1, 2))))

    def _held(self, entity: Entity, field: str) -> Any:
        return held(self._site.store, entity, self._site.store.schema.types[entity.type].fields[field])


def _json(target: Link) -> dict[str, Any]:
    return {"type": target.type, "id": target.id}


def _request(target: Link, **values: Any) -> dict[str, Any]:
    return {
        "type": target.type,
        "id": target.id,
        "fields": [{"field_name": name, "value": value} for name, value in values.items()],
    }
