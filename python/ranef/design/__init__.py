"""Data to a frozen `Design`, and new rows to match it."""

from __future__ import annotations

from ..words.answers import called_elsewhere
from .build import build
from .design import INTERCEPT, Design, RandomTerm, assemble
from .encode import Encoder, NewRows, NewTerm, encode
from .snapshot import held_bytes, snapshot

__all__ = [
    "INTERCEPT",
    "Design",
    "Encoder",
    "NewRows",
    "NewTerm",
    "RandomTerm",
    "assemble",
    "build",
    "encode",
    "held_bytes",
    "snapshot",
]

called_elsewhere(__name__)
