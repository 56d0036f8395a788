"""Python 2 plugins are told from mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsheet.agent import loader, python2

PYTHON_2 = {
    'print "hello"': 'line 2: print "hello"',
    "print 'a %s' % 5": "line 2: print 'a %s' % 5",
    "print event": "line 2: print event",
    "try: pass\nexcept ValueError, e: pass": "line 3: except ValueError, e: pass",
    "raise ValueError, 'text'": "line 2: raise ValueError, 'text'",
    'exec "x = 1"': "line 2: exec",
    "mode = 0777": "line 2: mode = 0777",
    "n = 10L": "line 2: n = 10L",
    "s = ur'raw'": "line 2: s = ur'raw'",
    "if 1 <> 2: pass": "line 2: if 1 <> 2: pass",
    "s = `5`": "line 2: s = `5`",
    "if True:\n        x = 1\n\ty = 2": "line 4 mixes tabs and spaces",
    "def f(a, (b, c)): pass": "line 2: def f(a, (b, c)): pass",
    "import urllib2": "it imports urllib2",
    "from ConfigParser import SafeConfigParser": "it imports ConfigParser",
}
MISTAKES = ["def broken(:", "x = (1,", "if True\n    pass", "  indented = 1", "import no_such_module", "'unclosed"]


def explained(tmp_path: Path, text: str) -> str | None:
    path = tmp_path / "plugin.py"
    path.write_text(f"import os\n{text}\n")
    with pytest.raises((SyntaxError, ImportError, TypeError, NameError)) as raised:
        loader.load(str(path))
    return python2.explain(raised.value, str(path))


@pytest.mark.parametrize("text", PYTHON_2)
def test_python_2_is_named_with_line_and_cure(tmp_path: Path, text: str) -> None:
    message = explained(tmp_path, text)

    assert message is not None
    assert message.startswith(f"{tmp_path / 'plugin.py'} is written for Python 2 ({PYTHON_2[text]}")
    assert "convert it with 2to3 or futurize" in message


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_not_taken_for_python_2(tmp_path: Path, text: str) -> None:
    assert explained(tmp_path, text) is None
