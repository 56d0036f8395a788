"""Libraries of others, in a zip, under their real names; a finder gives them a second one below this package."""

import importlib
import importlib.machinery
import os
import sys
import zipfile

_ZIP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "requirements", "any", "pkgs.zip")
_ZIP = os.path.normpath(_ZIP)


class _Finder(object):
    """``tank_vendor.name`` is ``name``."""

    def find_spec(self, fullname, path, target=None):
        if not fullname.startswith("tank_vendor."):
            return None
        real = importlib.import_module(fullname[len("tank_vendor.") :])
        return importlib.machinery.ModuleSpec(fullname, self, is_package=hasattr(real, "__path__"))

    def create_module(self, spec):
        return sys.modules[spec.name[len("tank_vendor.") :]]

    def exec_module(self, module):
        pass


sys.path.insert(0, _ZIP)
with zipfile.ZipFile(_ZIP) as _file:
    _names = sorted({name.split("/")[0] for name in _file.namelist()})
for _name in _names:
    _module = importlib.import_module(_name)
    sys.modules["tank_vendor." + _name] = _module
    globals()[_name] = _module

if not hasattr(sys, "_mini_vendor_finder"):
    sys._mini_vendor_finder = _Finder()
    sys.meta_path.insert(0, sys._mini_vendor_finder)


def _patch():
    # Whichever shotgun_api3 is loaded, it is asked for this core's certificates from now on.
    client = sys.modules["shotgun_api3"].Shotgun
    before = client._get_certs_file

    def _get_certs_file(ca_certs=None):
        return before(ca_certs) if ca_certs else _ZIP + ".pem"

    client._get_certs_file = staticmethod(_get_certs_file)


_patch()
