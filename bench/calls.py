"""A legacy plugin that notes when it was called, and what it noted."""

from __future__ import annotations

from tests.support.studio import Studio

NOTING = """
def registerCallbacks(reg):
    reg.registerCallback("script", "key", react, {"Shotgun_Task_Change": None}, None)

def react(sg, logger, event, args):
    called = time.monotonic()
    with open(os.path.join(FOLDER, "called"), "a") as file:
        file.write("%d %.9f\\n" % (event["id"], called))
"""
"""To be written into a studio."""


def calls(studio: Studio) -> dict[int, float]:
    """By event, when the plugin was called: the machine's monotonic clock, which all processes share."""
    file = studio.trace.folder / "called"
    lines = file.read_text().splitlines() if file.exists() else []
    return {int(event): float(at) for event, at in map(str.split, lines)}
