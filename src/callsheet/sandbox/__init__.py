"""A pretend Flow Production Tracking site that the real ``shotgun_api3`` talks to over HTTP: for demos, and for tests of plugins.

Public API, for tests outside of Callsheet too: it depends on nothing of the daemon.

>>> from callsheet.sandbox import Sandbox
>>> with Sandbox() as sandbox:
...     sg = sandbox.connect()
...     task = sg.find_one("Task", [["entity.Shot.code", "is", "LIT0010"]], ["sg_status_list"])
"""

from callsheet.sandbox.activity import Activity
from callsheet.sandbox.faults import Fault, Faults
from callsheet.sandbox.instance import Sandbox

__all__ = ["Activity", "Fault", "Faults", "Sandbox"]
