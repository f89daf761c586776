"""Options, checks and the estimate of a linear model with structured residuals."""

from __future__ import annotations

from typing import Any

from ...models.gls.model import CORRELATIONS

__all__ = ["checked_corr"]


def checked_corr(corr: Any, groups: str | None) -> str:
    """Check the name of a correlation, and that it has groups."""
    name = corr.lower() if isinstance(corr, str) else corr
    if name not in CORRELATIONS:
        raise ValueError(f"corr is one of {', '.join(CORRELATIONS)}, not {corr!r}")
    if name != "independence" and groups is None:
        raise ValueError(f'corr="{name}" is of rows within groups; name them by groups="..."')
    return str(name)
