"""The four plugins of a storm. Each writes one line per call that came to its end, whether it raised, or tore the pipe, or not."""

from __future__ import annotations

from tests.support.set_clock import HEAD, JumpingClock
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

TORN = """
import fcntl, random, stat, struct
from callsheet import on

def pipe_of_reports():
    printed = os.fstat(2).st_ino
    for number in range(3, 64):
        try:
            facts, flags = os.fstat(number), fcntl.fcntl(number, fcntl.F_GETFL)
        except OSError:
            continue
        if stat.S_ISFIFO(facts.st_mode) and flags & os.O_ACCMODE == os.O_WRONLY and facts.st_ino != printed:
            return number

@on("Shotgun_Task_Change", lane="entity", retry=dict(attempts=60, crashes=60))
def torn(ctx):
    begin = time.monotonic()
    work(ctx.event)
    mood = random.Random({seed} * 1_000_003 - ctx.event["id"]).random()
    if mood < {torn} and once("torn-%d" % ctx.event["id"]):
        called(ctx.event, ctx.attempt, begin, "torn")
        if mood < {torn} / 2:
            os.write(pipe_of_reports(), struct.pack(">I", 200) + b'{"is":"report","run":')
            os._exit(1)
        os.write(pipe_of_reports(), b"hello, world")
        time.sleep(60)  # until it is killed for that
    called(ctx.event, ctx.attempt, begin)
"""
"""Writes half a frame and dies, or writes what is none: for one event in 250."""

SHARE_TORN = 0.004

SLOTS = {"old": 1, "moody": 1, "wide": 4, "torn": 1}
"""How many calls of each plugin may be in hand at once."""


def install(studio: Studio, clock: JumpingClock, seed: int) -> None:
    """Write all of them into the studio's folder."""
    head = HEAD.format(file=str(clock.file)) + CALLED
    for name, text in (("old", OLD), ("moody", MOODY), ("wide", WIDE), ("torn", TORN)):
        studio.write(name, head + text.replace("{seed}", str(seed)).replace("{torn}", str(SHARE_TORN)))
