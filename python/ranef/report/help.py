"""The pages that warnings point to, in the terminal."""

from __future__ import annotations

import re
from importlib.resources import files

from ..words.answers import answering

__all__ = ["help", "topics"]

PAGES = ("convergence", "troubleshooting")


def _page(name: str) -> str:
    """Read a page."""
    return files(__package__).joinpath("pages", f"{name}.md").read_text(encoding="utf-8")


def _findings() -> dict[str, str]:
    """Return the paragraph of each code of a finding."""
    parts = re.split(r"^## `([a-z-]+)`\n", _page("troubleshooting"), flags=re.MULTILINE)
    return {code: text.strip() for code, text in zip(parts[1::2], parts[2::2], strict=True)}


def _sections() -> dict[str, str]:
    """Return the sections of the page on convergence by their headings, spelled as topics."""
    parts = re.split(r"^#{2,3} (.+)\n", _page("convergence"), flags=re.MULTILINE)
    return {
        _topic(title): text.strip() for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def _topic(title: str) -> str:
    """Spell a heading, or what somebody typed, as a topic."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def topics() -> list[str]:
    """Name everything that :func:`help` knows."""
    return [*PAGES, *_sections(), *_findings()]


@answering
def help(topic: str = "troubleshooting") -> None:
    """Print a page or the meaning of a finding.

    Parameters
    ----------
    topic : str
        "convergence", "troubleshooting", a section of the former such as "few groups" or "priors",
        or the code of a finding.

    Examples
    --------
    >>> import ranef
    >>> ranef.help("not-estimable")
    not-estimable
    <BLANKLINE>
    The model cannot be estimated for a reason that the evidence states.
    """
    paragraphs = {**_sections(), **_findings()}
    name = _topic(topic)
    if name in PAGES:
        print(_page(name))
    elif name in paragraphs:
        print(f"{name}\n\n{paragraphs[name]}")
    else:
        raise ValueError(f"there is no help on {topic!r}; there is on {', '.join(topics())}")
