"""The three plugins of a storm. Each writes one line per call that came to its end, whether it raised or not."""

from __future__ import annotations

from tests.support.studio import Studio

CALLED = """
DAEMON = os.getppid()  # as the plugin is loaded: an orphan has another parent

def work(event):
    # So that kills find calls in hand, and lanes overtake each other.
    time.sleep(0.01 if event["id"] % 16 == 0 else 0.0005)

def called(event, attempt, begin, word="done", **more):
    note(word, event, attempt=attempt, begin=begin, end=time.monotonic(), daemon=DAEMON, **more)
"""

OLD = """
def registerCallbacks(reg):
    reg.registerCallback("script", "key", old, {"Shotgun_Task_Change": ["sg_status_list"]}, None, True)

def old(sg, logger, event, args):
    begin = time.monotonic()
    work(event)
    called(event, 1, begin)
"""

MOODY = """
import random
from callsheet import on

# Crashes are the storm's, so they never count as the delivery's own failure.
@on("Shotgun_Task_Change", lane="entity", retry=dict(attempts=60, first=0.05, factor=1, longest=0.05, crashes=60))
def moody(ctx):
    begin = time.monotonic()
    mood = random.Random({seed} * 1_000_003 + ctx.event["id"])
    if mood.random() < 0.08 and ctx.attempt <= mood.randint(1, 3):
        called(ctx.event, ctx.attempt, begin, "raised")
        raise RuntimeError("in a mood, at attempt %d" % ctx.attempt)
    work(ctx.event)
    called(ctx.event, ctx.attempt, begin)
"""

WIDE = """
from callsheet import on

@on("Shotgun_Task_Change", lane="entity", slots=4, retry=dict(attempts=60, crashes=60))
def wide(ctx):
    begin = time.monotonic()
    work(ctx.event)
    called(ctx.event, ctx.attempt, begin)
"""

SLOTS = {"old": 1, "moody": 1, "wide": 4}
"""How many calls of each plugin may be in hand at once."""


def install(studio: Studio, seed: int) -> None:
    """Write all three into the studio's folder."""
    for name, text in (("old", OLD), ("moody", MOODY.replace("{seed}", str(seed))), ("wide", WIDE)):
        studio.write(name, CALLED + text)
