"""Imports every module of vaelab, which should take no optional package."""

import pkgutil
import sys
from importlib import import_module

import vaelab
from vaelab.errors import EXTRAS

names = [found.name for found in pkgutil.walk_packages(vaelab.__path__, "vaelab.")]
for name in names:
    if name != "vaelab.__main__":
        import_module(name)
if taken := EXTRAS.keys() & sys.modules.keys():
    sys.exit(f"imported without need: {', '.join(taken)}")
print(f"{len(names)} modules imported without optional packages")
