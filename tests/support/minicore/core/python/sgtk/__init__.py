"""The other name of ``tank``."""

import sys

import tank

for _name, _module in list(sys.modules.items()):
    if _name.startswith("tank."):
        sys.modules["sgtk" + _name[len("tank") :]] = _module
sys.modules["sgtk"] = tank
