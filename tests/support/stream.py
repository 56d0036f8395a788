"""A day's work on the sandbox's show, for the example plugins of shotgunEvents: some 300 events that make most of them write.

Plugins run one after another in the reference and side by side in Callsheet. So that both must come to the same, each story keeps
to entities of its own, and no plugin reads what another writes, unless in answer to the event of that write.
"""

from __future__ import annotations

from typing import Any

from callsheet.sandbox import Sandbox
from callsheet.sandbox.show import PASSWORD

LIGHTHOUSE, FERRY = {"type": "Project", "id": 97}, {"type": "Project", "id": 98}
_FRAMES = {"sg_first_frame": 1001, "sg_last_frame": 1048, "sg_cut_in": 1009, "sg_cut_out": 1040, "frame_count": 48}
_HANDLES = {"sg_head_duration": 8, "sg_tail_duration": 8}
_TIMECODES = {"sg_timecode_cut_in": "01:00:00:08", "sg_timecode_cut_out": "01:00:01:16"} | {
    "sg_timecode_in": "01:00:00:00",
    "sg_timecode_out": "01:00:02:00",
}


def link(kind: str, number: int) -> dict[str, Any]:
    """A link as shotgun_api3 takes it."""
    return {"type": kind, "id": number}


def first_task(shot: int) -> int:
    """The first of the three tasks (animation, light, comp) of one of the show's shots."""
    return 301 + 3 * (shot - 101)


def set_stage(sandbox: Sandbox) -> None:
    """What the stories need beyond the show: to be done before the daemons' time."""
    sg = sandbox.connect()
    for asset in (204, 205):
        sg.update("Asset", asset, {"sg_status_list": "fin"})
    sg.update("Task", 373, {"sg_status_list": "fin"})  # art of asset 205
    sg.update("Task", first_task(103), {"sg_status_list": "wtg"})
    sg.update("Asset", 202, {"task_template": link("TaskTemplate", 1)})
    for number in range(3):
        names = {"project": LIGHTHOUSE, "code": f"frames_{number}", "entity": link("Shot", 109)}
        sg.create("Version", names | _FRAMES | _HANDLES | {"sg_cut_length": 32})
        names["code"] = f"timecodes_{number}"
        sg.create("Version", names | {"sg_first_frame": 1001, "frame_count": 48} | _HANDLES | _TIMECODES)


def play(sandbox: Sandbox) -> None:
    """All stories, as edits by people of the show, in one order."""
    ada = sandbox.connect(login="amarsh", password=PASSWORD)
    bela = sandbox.connect(login="bkowalski", password=PASSWORD)
    _editorial(ada)
    _review(bela, ada)
    _tasks(ada)
    _assignments(ada)
    _new_entities(bela)
    _frames(bela)
    _money(ada)
    _trash(ada)
    _rare(sandbox)
    ada.update("TaskTemplate", 1, {"sg_plugins": "Update linked entities"})  # last: its plugin fails on it under Python 3


def _editorial(sg: Any) -> None:
    for shot in (107, 108, 109, 110):
        sg.update("Shot", shot, {"sg_cut_in": 2001 + shot, "sg_cut_out": 2001 + shot + 60})
    for shot in (111, 112):
        sg.update("Shot", shot, {"sg_cut_duration": shot})
        sg.update("Shot", shot, {"sg_cut_duration": None})
        sg.update("Shot", shot, {"sg_cut_duration": shot + 10})
    for shot in (113, 114):
        sg.update("Shot", shot, {"sg_status_list": "ip"})
        sg.update("Shot", shot, {"sg_status_list": "fin"})
    sg.update("Asset", 204, {"sg_source_id": 7})


def _review(sg: Any, other: Any) -> None:
    sg.update("Version", 401, {"sg_status_list": "apr"})
    sg.update("Version", 402, {"sg_status_list": "fna"})
    sg.update("Version", 403, {"sg_status_list": "rjk"})
    note = {"project": LIGHTHOUSE, "subject": "Seen", "content": "Yes.", "note_links": [link("Version", 404)]}
    other.create("Note", note)
    sg.update("Version", 405, {"description": "Softer landing"})
    sg.update("Version", 406, {"description": "Fog comes later"})
    sg.update("Version", 406, {"description": None})
    for name in ("Monday", "Tuesday", "Thursday", "Friday"):
        playlist = sg.create("Playlist", {"project": LIGHTHOUSE, "code": name, "versions": [link("Version", 401)]})
        sg.update("Playlist", playlist["id"], {"description": "For the director"})


def _tasks(sg: Any) -> None:
    for task in range(first_task(115), first_task(115) + 3):  # all of a shot: it is final, and dated
        sg.update("Task", task, {"sg_status_list": "fin"})
    sg.update("Task", first_task(116), {"sg_status_list": "fin"})  # the next one may start
    sg.update("Task", first_task(117), {"sg_status_list": "na"})
    sg.update("Task", first_task(118) + 1, {"sg_status_list": "ip"})
    sg.update("Task", 373, {"sg_status_list": "rev"})  # of a final asset: it is opened again
    sg.update("Asset", 203, {"sg_status_list": "hld"})
    for task in range(first_task(104) + 1, first_task(112) + 1, 3):
        for status in ("rdy", "hld", "rdy", "hld", "rdy", "hld"):
            sg.update("Task", task, {"sg_status_list": status, "sg_description": f"now {status}"})


def _assignments(sg: Any) -> None:
    task = first_task(119)
    sg.update("Task", task, {"task_assignees": [link("HumanUser", 12)]})  # not on the second film yet
    sg.update("Task", task + 1, {"task_assignees": [link("Group", 1)]})
    sg.update("Task", task + 2, {"task_assignees": [link("HumanUser", 14)]})
    person = link("HumanUser", 17)
    for number in range(2):
        links = {"project": LIGHTHOUSE, "entity": link("Asset", 201), "user": person}
        sg.create("Version", links | {"code": f"keeper_{number}"})
    sg.update("Task", 361, {"task_assignees": [person, link("HumanUser", 18)]})  # art of that asset


def _new_entities(sg: Any) -> None:
    for number in range(9):
        sg.create("Asset", {"project": LIGHTHOUSE, "code": f"Crate {number}", "description": "Oak" if number == 3 else None})
        sg.create("Shot", {"project": LIGHTHOUSE, "code": f"LIT{900 + number:04}"})
        sg.create("Shot", {"project": LIGHTHOUSE, "code": f"x{number}"})


def _frames(sg: Any) -> None:
    versions = sg.find("Version", [["code", "starts_with", "frames_"]], [], [{"field_name": "id", "direction": "asc"}])
    for number, version in enumerate(versions):
        sg.update("Version", version["id"], {"sg_cut_in": 1011 + number})
    versions = sg.find("Version", [["code", "starts_with", "timecodes_"]], [], [{"field_name": "id", "direction": "asc"}])
    for number, version in enumerate(versions):
        sg.update("Version", version["id"], {"sg_head_duration": 10 + number})
        sg.update("Version", version["id"], {"sg_tail_duration": 4 + number})
        sg.update("Version", version["id"], {"sg_first_frame": 1101 + number})


def _money(sg: Any) -> None:
    sg.update("CustomEntity02", 1, {"sg_base_amount": 1200.0})
    sg.update("CustomEntity02", 1, {"sg_exchange_rate": "1.35"})
    sg.update("CustomEntity02", 1, {"sg_status_list": "na"})
    sg.update("CustomEntity02", 1, {"sg_status_list": "ip"})


def _trash(sg: Any) -> None:
    crate = sg.create("Asset", {"project": LIGHTHOUSE, "code": "Broken crate"})
    sg.delete("Asset", crate["id"])
    sg.delete("Task", first_task(120) + 2)
    sg.revive("Task", first_task(120) + 2)
    sg.delete("Playlist", 1)


def _rare(sandbox: Sandbox) -> None:
    """Events that no edit through the API makes."""
    sandbox.add_event("Shotgun_User_Login", meta={"type": "user_login"}, project=None)
    sandbox.add_event("Shotgun_Project_Change", attribute_name="id", entity=FERRY)
    meta = {"type": "attribute_change", "entity_type": "Task", "entity_id": first_task(120), "old_value": "wtg", "new_value": "na"}
    sandbox.add_event("Shotgun_Task_Change", attribute_name="status", entity=link("Task", first_task(120)), meta=meta)
    sandbox.add_event("Toolkit_Folders_Create", meta={"version": "v1"}, entity=link("Shot", 101), attribute_name=None)
