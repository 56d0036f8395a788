"""Tells a Python 2 plugin from a mistake, so that the message can name the cure."""

import re
import sys
from typing import Optional

_SIGNS = (
    r"^\s*print\s+[^\s(=.,:]",  # print "text"
    r"^\s*print\s*>>",
    r"^\s*print\s+\(.*\)\s*[%,]",
    r"^\s*except\s+[\w.()\[\], ]+?,\s*\w+\s*:",  # except Error, e:
    r"^\s*raise\s+[\w.]+\s*,",
    r"^\s*exec\s+[^\s(=.]",
    r"<>",
    r"`[^`]+`",
    r"(?<![\w.])0[0-7]+(?![\w.])",  # 0777
    r"(?<![\w.])\d+[lL]\b",  # 10L
    r"(?<!\w)[uU][rR][\"']",
    r"def\s+\w+\s*\(.*\(\s*\w+\s*,",  # parameters taken apart
)
_ANY_SIGN = re.compile("|".join(f"(?:{sign})" for sign in _SIGNS))
_MODULES = frozenset(
    {
        "BaseHTTPServer",
        "ConfigParser",
        "HTMLParser",
        "Queue",
        "SimpleHTTPServer",
        "SocketServer",
        "StringIO",
        "Tkinter",
        "__builtin__",
    }
    | {"cPickle", "cStringIO", "commands", "cookielib", "copy_reg", "httplib", "thread", "urllib2", "urlparse", "xmlrpclib"}
)
_CURE = "convert it with 2to3 or futurize, and try it with that Python"


def explain(error: BaseException, path: str) -> Optional[str]:
    """One line that says that the plugin at ``path`` is Python 2 and what to do; None if nothing speaks for that."""
    sign = _sign(error)
    if sign is None:
        return None
    file = error.filename if isinstance(error, SyntaxError) and error.filename else path
    return f"{file} is written for Python 2 ({sign}); this is Python {sys.version_info[0]}.{sys.version_info[1]}: {_CURE}."


def _sign(error: BaseException) -> Optional[str]:
    if isinstance(error, TabError):
        return f"line {error.lineno} mixes tabs and spaces"
    if isinstance(error, SyntaxError):
        line = (error.text or "").rstrip()
        if _ANY_SIGN.search(line) or "Missing parentheses in call to 'print'" in str(error.msg):
            return f"line {error.lineno}: {line.strip()}"
    if isinstance(error, ImportError) and error.name in _MODULES:
        return f"it imports {error.name}"
    return None
