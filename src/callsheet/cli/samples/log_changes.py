"""A plugin as written for shotgunEvents, unchanged: it logs every change of a status."""


def registerCallbacks(reg):
    reg.registerCallback(
        "callsheet_demo",
        "demo-key",
        log_change,
        {"Shotgun_Task_Change": ["sg_status_list"], "Shotgun_Version_Change": ["sg_status_list"]},
        None,
    )


def log_change(sg, logger, event, args):
    """Say who changed what."""
    meta, entity, user = event["meta"], event["entity"] or {}, event["user"] or {}
    logger.info(
        "%s set %s %s from %s to %s",
        user.get("name"),
        entity.get("type"),
        entity.get("name"),
        meta.get("old_value"),
        meta.get("new_value"),
    )
