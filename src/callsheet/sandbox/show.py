"""A small show to begin with: two projects with shots, assets, tasks, versions and people, under the same ids every time.

It is put in place without events, as if it had long been there; the log begins with an administrator's login.
"""

from __future__ import annotations

from typing import Any

from callsheet.sandbox.auth import set_secret
from callsheet.sandbox.event_store import NewEvent
from callsheet.sandbox.pretend_site import Site
from callsheet.sandbox.store import Entity
from callsheet.sandbox.values import Link, timestamp

PASSWORD = "sandbox"  # noqa: S105 - of pretend people, and documented
"""What every person of the show signs in with."""

LIGHTHOUSE = Link("Project", 97)
"""An animated short. The example plugins of shotgunEvents ask for a project with this id."""
FERRY = Link("Project", 98)
"""A film with visual effects."""

_ADMIN = Link("HumanUser", 11)
_PEOPLE = (
    ("Ada", "Marsh", "amarsh", "Production"),
    ("Bela", "Kowalski", "bkowalski", "Animation"),
    ("Chidi", "Okafor", "cokafor", "Animation"),
    ("Dunja", "Petrovic", "dpetrovic", "Lighting"),
    ("Emre", "Yilmaz", "eyilmaz", "Lighting"),
    ("Fumiko", "Sato", "fsato", "Compositing"),
    ("Goran", "Lind", "glind", "Modeling"),
    ("Hana", "Novak", "hnovak", "Modeling"),
)
_DEPARTMENTS = ("Production", "Animation", "Lighting", "Compositing", "Modeling")
_STATUSES = {
    "wtg": "Waiting to Start",
    "rdy": "Ready to Start",
    "ip": "In Progress",
    "rev": "Pending Review",
    "vwd": "Viewed",
    "apr": "Approved",
    "fna": "Final Approved",
    "rjk": "Rejected",
    "fin": "Final",
    "cmpt": "Complete",
    "hld": "On Hold",
    "omt": "Omit",
    "na": "N/A",
    "opn": "Open",
    "clsd": "Closed",
    "act": "Active",
    "dis": "Disabled",
}
_VERSION_TO_TASK = {"rev": "rev", "apr": "apr", "fna": "fin", "rjk": "ip"}
_TASK_TO_VERSION = {"apr": "apr", "fin": "fna", "na": "na"}
_STEPS = (
    ("Art", "ART", "Asset"),
    ("Model", "MDL", "Asset"),
    ("Rig", "RIG", "Asset"),
    ("Animation", "ANM", "Shot"),
    ("Light", "LGT", "Shot"),
    ("Comp", "CMP", "Shot"),
)
_SEQUENCES = (("LIT", LIGHTHOUSE, 10), ("FOG", LIGHTHOUSE, 6), ("FER", FERRY, 4))
_ASSETS = (
    ("Keeper", "Character", LIGHTHOUSE),
    ("Gull", "Character", LIGHTHOUSE),
    ("Lamp Room", "Environment", LIGHTHOUSE),
    ("Lantern", "Prop", LIGHTHOUSE),
    ("Rowboat", "Vehicle", LIGHTHOUSE),
    ("Night Ferry", "Vehicle", FERRY),
)
_FRAMES = 48


def put_show(site: Site) -> None:
    """Put the show into a site that has nothing yet."""
    show = _Show(site)
    with site.store.transaction():
        show.people()
        show.projects()
        show.shots()
        show.assets()
        show.review()
        show.extras()
        site.log.append([NewEvent("Shotgun_User_Login", timestamp(site.clock()), user=_ADMIN, meta={"type": "user_login"})])
    for _, _, login, _ in _PEOPLE:
        set_secret(site.store, "user", login, PASSWORD)


class _Show:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._now = timestamp(site.clock())
        self._tasks: list[Link] = []

    def _put(self, kind: str, number: int, **values: Any) -> Link:
        defaults = {one.name: one.default for one in self._site.store.schema.types[kind].fields.values() if one.default is not None}
        stamps = {"created_at": self._now, "updated_at": self._now, "created_by": _ADMIN, "updated_by": _ADMIN}
        self._site.store.put(Entity(kind, number, defaults | stamps | values))
        return Link(kind, number)

    def people(self) -> None:
        for number, (code, name) in enumerate(_STATUSES.items(), 1):
            mapping = {
                "sg_task_status_mapping": _VERSION_TO_TASK.get(code),
                "sg_version_status_mapping": _TASK_TO_VERSION.get(code),
            }
            self._put("Status", number, code=code, name=name, **mapping)
        rules = self._put("PermissionRuleSet", 1, display_name="Artist", code="artist", entity_type="HumanUser")
        departments = {name: self._put("Department", n, name=name, code=name[:3].upper()) for n, name in enumerate(_DEPARTMENTS, 1)}
        people = []
        for number, (first, last, login, department) in enumerate(_PEOPLE, _ADMIN.id):
            contact = {"login": login, "email": f"{login}@lighthouse.example"}
            belongs = {"department": departments[department], "permission_rule_set": rules}
            people.append(self._put("HumanUser", number, firstname=first, lastname=last, **contact, **belongs))
        self._put("Group", 1, code="Animators", users=people[1:3])
        self._put("Group", 2, code="Lighters", users=people[3:5])
        self._put("ClientUser", 1, name="Ines Rocha", email="ines@client.example")
        for number, (name, short, kind) in enumerate(_STEPS, 1):
            self._put("Step", number, code=name, short_name=short, entity_type=kind, list_order=number)

    def projects(self) -> None:
        everyone = [Link("HumanUser", number) for number in range(_ADMIN.id, _ADMIN.id + len(_PEOPLE))]
        # One animator is on the first project only, so that assigning her elsewhere has something to add.
        first = {"name": "Lighthouse", "code": "lighthouse", "tank_name": "lighthouse", "sg_type": "Feature"}
        second = {"name": "Night Ferry", "code": "night_ferry", "tank_name": "night_ferry", "sg_type": "Feature"}
        self._put("Project", LIGHTHOUSE.id, users=everyone, **first)
        self._put("Project", FERRY.id, users=[one for one in everyone if one.id != _ADMIN.id + 1], **second)

    def shots(self) -> None:
        number = 100
        for place, (code, project, count) in enumerate(_SEQUENCES, 1):
            sequence = self._put("Sequence", place, code=code, project=project)
            for order in range(1, count + 1):
                number += 1
                start = 1001 + 100 * order
                frames = {"sg_cut_in": start, "sg_cut_out": start + _FRAMES - 1, "sg_cut_duration": _FRAMES, "sg_cut_order": order}
                handles = {"sg_head_in": start - 8, "sg_tail_out": start + _FRAMES + 7}
                names = {"code": f"{code}{order * 10:04}", "project": project, "sg_sequence": sequence}
                shot = self._put("Shot", number, description=f"Shot {order} of {code}", **names, **frames, **handles)
                self._tasks_of(
                    shot, project, "Shot", (Link("HumanUser", 12 + order % 2), Link("HumanUser", 14), Link("HumanUser", 16))
                )

    def assets(self) -> None:
        for number, (name, kind, project) in enumerate(_ASSETS, 201):
            what = {"code": name, "sg_asset_type": kind, "project": project, "sg_source_id": number}
            asset = self._put("Asset", number, **what)
            self._tasks_of(asset, project, "Asset", (Link("HumanUser", 17), Link("HumanUser", 18), Link("HumanUser", 17)))
        for number, assets in ((101, (201, 203)), (102, (201, 204)), (103, (202, 205))):
            shot = self._site.store.get(Link("Shot", number))
            assert shot is not None
            links = {"assets": [Link("Asset", one) for one in assets]}
            self._site.store.put(Entity("Shot", number, shot.values | links))

    def _tasks_of(self, entity: Link, project: Link, kind: str, assignees: tuple[Link, ...]) -> None:
        """A task for each step, each waiting for the one before."""
        steps = [(number, name) for number, (name, _, of) in enumerate(_STEPS, 1) if of == kind]
        before: Link | None = None
        for (number, name), person in zip(steps, assignees, strict=True):
            status = "ip" if before is None else "wtg"
            where = {"project": project, "entity": entity, "step": Link("Step", number)}
            links = {"task_assignees": [person], "upstream_tasks": [before] if before else []}
            before = self._put("Task", 301 + len(self._tasks), content=name, sg_status_list=status, **where, **links)
            self._tasks.append(before)

    def review(self) -> None:
        versions = []
        for place in range(6):
            shot, task = Link("Shot", 101 + place), self._tasks[3 * place]
            person = Link("HumanUser", 12 + place % 2)
            frames = {"sg_first_frame": 1001, "sg_last_frame": 1048, "frame_count": 48, "sg_cut_length": 32}
            cuts = {"sg_cut_in": 1009, "sg_cut_out": 1040, "sg_head_duration": 8, "sg_tail_duration": 8}
            codes = {"sg_timecode_cut_in": "01:00:00:08", "sg_timecode_cut_out": "01:00:01:16"}
            whole = {"sg_timecode_in": "01:00:00:00", "sg_timecode_out": "01:00:02:00"}
            links = {"project": LIGHTHOUSE, "entity": shot, "sg_task": task, "user": person}
            name = f"LIT{10 * (place + 1):04}_anm_v001"
            versions.append(self._put("Version", 401 + place, code=name, **links, **frames, **cuts, **codes, **whole))
        self._put("Playlist", 1, code="Dailies Monday", project=LIGHTHOUSE, versions=versions[:4])
        note = {"subject": "The gull's landing", "content": "Give it two more frames.", "sg_note_type": "Internal"}
        self._put("Note", 1, project=LIGHTHOUSE, user=_ADMIN, note_links=[versions[0]], tasks=[self._tasks[0]], **note)

    def extras(self) -> None:
        template = self._put("TaskTemplate", 1, code="Lighthouse Asset", entity_type="Asset")
        for number, (name, _, kind) in enumerate(_STEPS, 1):
            if kind == "Asset":
                self._put("Task", 900 + number, content=name, step=Link("Step", number), task_template=template)
        cost = {"sg_base_amount": 1000.0, "sg_exchange_rate": "1.10", "sg_status_list": "ip"}
        self._put("CustomEntity02", 1, code="Fog simulation", project=LIGHTHOUSE, **cost)
        self._put("CustomNonProjectEntity01", 1, code="Harbour Sound", sg_country="Portugal")
        for number, kind in enumerate(("Maya Scene", "Nuke Script", "Rendered Image"), 1):
            self._put("PublishedFileType", number, code=kind)
        self._put("LocalStorage", 1, code="primary", linux_path="/mnt/projects", windows_path="P:\\", mac_path="/Volumes/projects")
        self._put("Tag", 1, name="hero")
