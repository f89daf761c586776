"""Imports that wait until they are needed."""

from __future__ import annotations

import os
import sys
import time
from importlib import import_module
from threading import RLock
from typing import Any

__all__ = ["load"]

#: Held while a name is imported, and by a thread that forks: a child that inherited a half-finished
#: import would wait for it forever.
_IMPORTING = RLock()

#: Packages whose modules a call may import while it runs, and the most seconds to wait for them.
PACKAGES, PATIENCE = ("ranef.", "scipy.", "formulaic.", "pandas."), 5.0


def _settled() -> None:
    """Wait until no other thread is in the middle of an import that a call makes."""
    _IMPORTING.acquire()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and any(
        getattr(getattr(module, "__spec__", None), "_initializing", False)
        for name, module in list(sys.modules.items())
        if name.startswith(PACKAGES)
    ):
        time.sleep(0.001)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_settled,
        after_in_parent=_IMPORTING.release,
        after_in_child=_IMPORTING.release,
    )


def load(module: str, name: str) -> Any:
    """Import a module and return its attribute of a given name."""
    with _IMPORTING:
        return getattr(import_module(module), name)
