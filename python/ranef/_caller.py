"""Warnings at the line outside ranef that asked for what they are about."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

__all__ = ["warn_caller"]

HOME = str(Path(__file__).parent)


def warn_caller(warning: Warning) -> None:
    """Issue a warning at the first line outside ranef."""
    warnings.warn(warning, stacklevel=_depth())


def _depth() -> int:
    """Count the frames up to the first outside ranef, as `warn_caller` counts them."""
    depth, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(HOME):
        frame = frame.f_back
        depth += 1
    return depth
