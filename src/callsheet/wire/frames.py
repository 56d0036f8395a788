"""The contract between the daemon and a worker: frames on two private pipes.

A frame is four bytes, the length of the rest in bytes (big-endian, unsigned), then one JSON object in UTF-8. The key ``is`` names
the message. Times are seconds since the epoch, durations are seconds; what crosses is data, never a pickled object.

The daemon says::

    {"is": "setup", "site": str, "url": str, "script": str, "key": str, "proxy": str|null, "timeout": float,
     "use_session_uuid": bool, "argv0": str, "helpers": [folder, ...], "level": int, "cascade": int, "client": folder|null,
     "config": {section: {option: value}}, "toolkit": description|null}
        Once, first. "timeout" is the default of sockets; "level" that of plugins' loggers; "argv0" the daemon's script; "helpers"
        where modules are found that plugins import, behind all others.
        "client": where ``shotgun_api3`` is found by a Python that has none of its own.
        "cascade": how deep in a chain of writes that it had a part in an event may be that a callback of ``on`` is called for.

        "toolkit": whose Toolkit the worker is to have, as ``toolkit.prologue`` wants it told; it says "opened" or "trouble" first.

    {"is": "load", "plugin": str, "path": str, "hosted": bool, "timeout": float|null, "as_is": bool}
        Import that file on the main thread and say its manifest. Usually once; plugins that share a worker come one after another.
        "hosted": all its callbacks run in their project's session. "timeout": of callbacks that have none of their own.
        "as_is": what it registers is all that it has, though the API may not answer it meanwhile.

    {"is": "run", "run": int, "plugin": str, "recorded": float, "calls": [int, ...]|absent,
     "deliveries": [[id, callback, attempt, go_on, event|null], ...]}
        Call "callback" (a name of the plugin's manifest) with each event, one after another. "attempt" is 1 at the first try. The
        run goes on behind a failed delivery only where "go_on" is true. A null event is that of the delivery before it, the same
        object. "calls": how many deliveries are called together, call by call; without it, each for itself. "recorded": when the
        daemon took note of the last of these events.

    {"is": "call", "call": int, "plugin": str, "module": str, "function": str, "arguments": [list, dict], "mark": str}
        To a session: call that function, one of the plugin's module or of one that it can import. For "arguments" see
        ``toolkit.carrying``; so for "value" below. "mark": the session uuid of what it writes.

    {"is": "answer", "call": int, "value": any | "failure": {"kind", "text", "traceback", "lost": bool,
     "passing": bool|absent, "client": bool|absent}}
        What came of a call that the worker asked for. "lost": trying again may help. "passing" and "client" are as in a report.

    {"is": "drop", "call": int}
        To a session: nobody waits for that call; it is not to begin any more.

    {"is": "recall", "plugin": str, "runs": [int, ...]}
        Begin no further delivery of these runs, and say that they ended. Unknown ones have ended by now.

    {"is": "stop"}
        Finish the deliveries that are being run, give back the rest, and end.

    End of file: the daemon is gone; the worker ends at once, in the middle of whatever it does.

The worker says::

    {"is": "manifest", "plugin": str, "pid": int, "python": "3.11.7", "slots": int, "callbacks": [callback, ...],
     "problem": str|null, "where": "import"|"register"|"site"|"", "level": "WARNING"|"ERROR"|"CRITICAL", "logger": str,
     "passing": bool}
        For each "load", when the plugin has registered, or could not ("problem"); and again whenever it registers one more callback
        later on. "passing": trouble of the sort that goes away by itself, such as a site that does not answer. "where": "site": it
        has registered these callbacks, but maybe less than it would have, since the API did not answer meanwhile. "slots" runs are
        executed at once. A callback is
        {"name", "ordinal", "filter": {event type|"*": {"rule": "any"|"among"|"within"|"ask", "values": [str], "text": str}},
         "lane", "retry": {field of RetryPolicy: value}|null, "on_dead", "timeout": float|null, "slots", "fields": [str],
         "where": bool, "toolkit": bool, "legacy": bool, "only": {"project"|"user"|"entity": links}, "ignore_own": bool|"script",
         "script": str, "batch": int, "settle": float, "after": int|null|absent}; a null "retry" leaves it to the daemon's settings.
        "after", of one that was registered later on: the event that was being handled then, if one was. Links are
         {"ids": [int], "names": [str], "types": [str], "exact": [[type, id], ...]}; one that fits any of these is meant.

    {"is": "imported", "plugin": str, "files": [[path, time|null, size|null], ...]}
        Modules that the plugin has imported from below its folder, or the folders of "helpers", as the import found them; in a
        shared worker also those that others had imported before. Null: there was no such file, which the plugin would have needed.

    {"is": "begun", "run": int}                           the run's first delivery is about to be called
    {"is": "report", "run": int, "delivery": int, "verdict": "ok"|"failed"|"retry"|"skip"|"give_up"|"timeout", "started": float,
     "ended": float, "failure": {"kind", "text", "traceback", "locals"}|absent, "after": float|absent, "logged": bool|absent,
     "passing": bool|absent, "client": bool|absent, "shares": bool|absent, "mark": str|absent}
        "mark": the session uuid of what the call wrote, where that is one of ours. Written before the next callback begins, so that
        killing the worker never runs a finished callback again. "logged": the worker has logged the failure. "passing": the site
        did not answer, or a session could not be opened for now; that is no fault of the callback's. "client": shotgun_api3 failed
        in it, in whatever way; then the run ends, since the daemon may know that the site is lost. "shares": it failed together
        with one reported before. What is not reported of a call is to be called again. "timeout": it was a coroutine, and was
        cancelled shortly before its deadline, at which the daemon kills the worker.
    {"is": "ended", "run": int}                           nothing more comes of that run; what was not reported was not begun
    {"is": "record", "plugin", "name", "levelno", "levelname", "message", "created", "pathname", "funcName", "lineno",
     "event_id": int|null, "delivery_id": int|null}
        A log record; "message" includes the text of an exception. "plugin" is whose it is, as far as that can be told.
    {"is": "emails", "plugin": str, "emails": true|false|[address, ...]}
        Whom the plugin wants mails to go to: the configured addresses, nobody, these.

    {"is": "call", "call": int, "project": id|name, "plugin", "module", "function", "arguments", "mark",
     "timeout": float|null}
        Have a session make that call; the thread that wants it waits for the "answer".
    {"is": "called", "call": int}                         a session begins a call
    {"is": "answer", "call": int, …}                      what came of it, as above
    {"is": "opened", "version", "core", "config", "descriptor", "engine", "apps", "python", "client"}     a session has its Toolkit
    {"is": "spoiled", "plugin": str, "problem": str}      a plugin spoiled a session's Toolkit; it ends after what it runs
    {"is": "trouble", "kind", "problem", "cure", "passing", "traceback"}                         it can't; the worker ends

What plugins print is none of this: it goes to the worker's standard error, a pipe of its own. Stacks (of all threads at a deadline,
of the thread that broke at a crash) go to a third pipe, whose descriptor is the worker's only argument.
"""

import json
import struct
from typing import Any, BinaryIO, Dict, Iterator, Optional, Union

Message = Dict[str, Any]

SITE_FAILED = "The site failed while the plugin at "
"""How the problem of a manifest begins where the API did not answer while the plugin registered ("where": "site")."""

LENGTH = struct.Struct(">I")
_scan = json.JSONDecoder().raw_decode
LONGEST = 512 * 1024 * 1024
"""Bytes; a length above this is garbage on the pipe, not a frame."""


class BrokenFrameError(Exception):
    """What came through the pipe is no frame of this protocol."""


def encode(message: Message) -> bytes:
    """The frame of a message. ASCII JSON, so that half characters in event texts survive."""
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return LENGTH.pack(len(body)) + body


def frame(body: bytes) -> bytes:
    """The frame of a message that is encoded already."""
    return LENGTH.pack(len(body)) + body


def read(stream: BinaryIO) -> Optional[Message]:
    """The next message of a blocking stream; None at its end, also in the middle of a frame. Raises BrokenFrameError."""
    head = stream.read(4)
    if len(head) < LENGTH.size:
        return None
    body = stream.read(_length(head, 0))
    if len(body) < LENGTH.unpack(head)[0]:
        return None
    return _decode(body)


def split(buffer: bytearray) -> Iterator[Message]:
    """The whole frames at the head of ``buffer``, which loses them once all were taken. Raises BrokenFrameError.

    For the frames of a worker, which are ASCII: their text is cut from the buffer as a whole, since there can be 50,000 a second.
    A frame that is not whole yet costs nothing: a large one comes in a thousand pieces.
    """
    at, end = 0, len(buffer)
    if end < LENGTH.size or end < LENGTH.size + _length(buffer, 0):
        return
    text = buffer.decode("latin-1")
    while True:
        body = at + LENGTH.size
        if body > end:
            break
        behind = body + _length(buffer, at)
        if behind > end:
            break
        try:
            message, stopped = _scan(text, body)
        except (ValueError, RecursionError) as error:
            raise BrokenFrameError(f"a frame holds no JSON: {error}") from error
        if stopped != behind or type(message) is not dict or "is" not in message:
            raise BrokenFrameError("a frame holds something else than one message")
        yield message
        at = behind
    del buffer[:at]


def _length(buffer: Union[bytes, bytearray], at: int) -> int:
    (length,) = LENGTH.unpack_from(buffer, at)
    if length > LONGEST:
        raise BrokenFrameError(f"a frame of {length} bytes was announced; something else wrote into the pipe")
    return int(length)


def _decode(body: bytes) -> Message:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BrokenFrameError(f"a frame holds no JSON: {error}") from error
    if not isinstance(message, dict) or "is" not in message:
        raise BrokenFrameError("a frame holds JSON that is no message")
    return message
