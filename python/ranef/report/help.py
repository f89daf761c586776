"""The pages that warnings point to, in the terminal."""

from __future__ import annotations

import re
from importlib.resources import files

__all__ = ["help", "topics"]

PAGES = ("convergence", "troubleshooting")


def _page(name: str) -> str:
    """Read a page."""
    return files(__package__).joinpath("pages", f"{name}.md").read_text(encoding="utf-8")


def _findings() -> dict[str, str]:
    """Give the paragraph of each code of a finding."""
    parts = re.split(r"^## `([a-z-]+)`\n", _page("troubleshooting"), flags=re.MULTILINE)
    return {code: text.strip() for code, text in zip(parts[1::2], parts[2::2], strict=True)}


def topics() -> list[str]:
    """Name everything that :func:`help` knows."""
    return [*PAGES, *_findings()]


def help(topic: str = "troubleshooting") -> None:
    """Print a page or the meaning of a finding.

    Parameters
    ----------
    topic : str
        "convergence", "troubleshooting", or the code of a finding.

    Examples
    --------
    >>> import ranef
    >>> ranef.help("not-estimable")
    not-estimable
    <BLANKLINE>
    The model cannot be estimated for a reason that the evidence states.
    """
    findings = _findings()
    if topic in findings:
        print(f"{topic}\n\n{findings[topic]}")
    elif topic in PAGES:
        print(_page(topic))
    else:
        raise ValueError(f"there is no help on {topic!r}; there is on {', '.join(topics())}")
