"""Imports that wait until something is asked for."""

from __future__ import annotations

import os
from importlib import import_module
from threading import RLock
from typing import Any

__all__ = ["load"]

#: Held while a name is imported, and by a thread that forks: a child that inherited a half-finished
#: import would wait for it for ever.
_IMPORTING = RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_IMPORTING.acquire,
        after_in_parent=_IMPORTING.release,
        after_in_child=_IMPORTING.release,
    )


def load(module: str, name: str) -> Any:
    """Import a module, and return what it has of a name."""
    with _IMPORTING:
        return getattr(import_module(module), name)
