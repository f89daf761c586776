"""The pages of the documentation, in the terminal."""

from __future__ import annotations

import inspect
import re
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from .._options import nearest
from ..words.answers import answering, module_message
from ..words.foreign import METHODS

__all__ = ["help", "topics"]

#: Weight of a word in a page's title, in a heading, and in the text.
TITLE, HEADING, TEXT, MOST_TEXT = 40, 8, 1, 12
#: Most other pages named below a page.
ALSO = 5


@answering
def help(topic: str = "") -> None:
    """Print what the documentation says about a topic.

    Parameters
    ----------
    topic : str
        A page ("missing", "growth", "issues/few-clusters"), a heading of one ("few groups"), the
        code of a finding ("zero-variance"), a name ("emmeans"), another package's word for it
        ("VarCorr"), or any word, for which the most relevant pages are listed. Without a
        topic, all pages.

    Raises
    ------
    ValueError
        If no page has the word.

    Examples
    --------
    >>> import ranef
    >>> ranef.help("not-estimable")
    not-estimable
    <BLANKLINE>
    The model cannot be estimated for a reason that the evidence states.
    >>> ranef.help("isSingular")
    isSingular is from lme4: here it is model.is_singular
    """
    name, word = _topic(topic), topic.strip()
    parts = _explained(name, word) if name else [_overview()]
    if not parts:
        close = nearest(name, topics())
        raise ValueError(f"there is no help on {topic!r}{close}; ranef.help() names every page")
    print("\n\n".join(parts))


def _explained(name: str, word: str) -> list[str]:
    """Collect what is known about a topic, the closest first."""
    page, paragraphs = _page_of(name), {**_sections(), **_findings()}
    if name in paragraphs and not page:
        return [f"{name}\n\n{paragraphs[name]}"]
    parts = [_pages()[page].strip()] if page else []
    ours, foreign = _summary(word), module_message(word, []).removeprefix("; ")
    if foreign and word not in METHODS and f"ranef.{word}" not in foreign:
        if not page:
            return [foreign]
        foreign = ""  # the page mentions more than one attribute of another package
    if ours or foreign:
        parts.append(ours or foreign)
    others = [other for other in _ranked(name) if other != page][:ALSO]
    if others:
        parts.append(f"{'See also' if parts else 'Pages'}:\n{_listed(others)}")
    return parts


def topics() -> list[str]:
    """Name every page, section and finding that :func:`help` prints."""
    return list(dict.fromkeys([*_pages(), *_sections(), *_findings()]))


def _summary(name: str) -> str:
    """State in a sentence what a public name does; empty if there is no such name."""
    door = import_module("ranef")  # by name: it stands above this floor
    if name not in door.__all__:
        return ""
    first = (inspect.getdoc(getattr(door, name)) or "").split("\n\n")[0].replace("\n", " ")
    return f"ranef.{name}: {first} help(ranef.{name}) shows its arguments."


def _topic(text: str) -> str:
    """Spell a heading, or typed text, as a topic."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _folder() -> Traversable:
    """Find the pages: in the package, or beside it in a checkout."""
    installed = files(__package__).joinpath("pages")
    return installed if installed.is_dir() else Path(__file__).parents[3] / "docs"


@lru_cache(maxsize=1)
def _pages() -> dict[str, str]:
    """Read all pages: their paths without the ending, and their text without marks for the site."""
    texts = {}
    for entry in _folder().iterdir():
        inside = entry.iterdir() if entry.is_dir() else [entry]
        for page in inside:
            if page.name.endswith(".md"):
                parent = f"{entry.name}/" if entry.is_dir() else ""
                text = re.sub(r"<!--.*?-->\n?", "", page.read_text(encoding="utf-8"))
                texts[parent + page.name.removesuffix(".md")] = text
    return dict(sorted(texts.items(), key=lambda item: (item[0].count("/"), item[0])))


def _page_of(name: str) -> str:
    """Return the page of this name, in whatever folder; empty if there is none."""
    return next(
        (page for page in _pages() if name in (_topic(page), _topic(page.split("/")[-1]))), ""
    )


def _title(page: str) -> str:
    """Return the first heading of a page."""
    return _pages()[page].split("\n", 1)[0].removeprefix("# ")


def _findings() -> dict[str, str]:
    """Return the paragraph of each code of a finding."""
    text = _pages()["troubleshooting"]
    parts = re.split(r"^## `([a-z-]+)`\n", text, flags=re.MULTILINE)
    return {code: text.strip() for code, text in zip(parts[1::2], parts[2::2], strict=True)}


@lru_cache(maxsize=1)
def _sections() -> dict[str, str]:
    """Return the sections of all pages by their headings, spelled as topics."""
    found: dict[str, str] = {}
    for page in ["convergence", *_pages()]:
        parts = re.split(r"^#{2,3} (.+)\n", _pages()[page], flags=re.MULTILINE)
        for title, text in zip(parts[1::2], parts[2::2], strict=True):
            found.setdefault(_topic(title), text.strip())
    return found


def _ranked(name: str) -> list[str]:
    """Rank the pages that contain a word by how much they say about it."""
    stems = [re.escape(word.rstrip("s")) for word in name.split("-")]
    words = [re.compile(rf"\b{stem}\w{{0,4}}\b", re.IGNORECASE) for stem in stems]
    scores = {page: min(_score(word, page) for word in words) for page in _pages()}
    return [p for p in sorted(scores, key=lambda page: -scores[page]) if scores[p] > 0]


def _score(word: re.Pattern[str], page: str) -> int:
    """Weigh a word's occurrences in a page."""
    text = _pages()[page]
    headings = " ".join(re.findall(r"^#{2,3} .+", text, flags=re.MULTILINE))
    return (
        TITLE * bool(word.search(f"{_title(page)} {page}"))
        + HEADING * len(word.findall(headings))
        + min(TEXT * len(word.findall(text)), MOST_TEXT)
    )


def _listed(pages: list[str]) -> str:
    """Show pages with their titles."""
    width = max(len(page) for page in pages) + 2
    return "\n".join(f"  {page:<{width}}{_title(page)}" for page in pages)


def _overview() -> str:
    """Show all pages, and other topics."""
    return (
        f"Pages:\n{_listed(list(_pages()))}\n\n"
        'ranef.help("missing") prints a page; headings, codes of findings, names and the words of '
        "other packages are topics too."
    )
