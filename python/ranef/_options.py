"""Checks of options that take one of a few words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

__all__ = ["check_name", "check_option", "nearest", "options_text"]

Word = TypeVar("Word", bound=str)


def check_option(
    name: str,
    value: Any,
    allowed: Iterable[Word],
    aliases: Mapping[str, Word] | None = None,
    *,
    shown: Iterable[str] | None = None,
) -> Word:
    """Return the allowed value that an option names.

    Parameters
    ----------
    name : str
        The option.
    value : str
        What was given; case, and hyphens, spaces or underscores between words, do not matter.
    allowed : iterable of str
        Its values.
    aliases : mapping of str to str, optional
        Other names of values.
    shown : iterable of str, optional
        The values that a message lists; all allowed ones by default.

    Raises
    ------
    ValueError
        If it is none of them. The message names the nearest.

    Examples
    --------
    >>> check_option("ddf", "Kenward_Roger", ["satterthwaite", "kenward-roger"])
    'kenward-roger'
    """
    words = list(allowed)
    if isinstance(value, str):
        if value in words:
            return value
        known = {folded(word): word for word in words}
        known |= {folded(other): word for other, word in (aliases or {}).items() if word in words}
        if (found := known.get(folded(value))) is not None:
            return found
    listed = list(words if shown is None else shown)
    raise ValueError(
        f"{name} must be {options_text(listed)}, not {value!r}{nearest(value, listed)}"
    )


def check_name(name: str, value: Any, known: Iterable[str]) -> str:
    """Return the name, of a column or a factor, that an option gives; case matters.

    Raises
    ------
    ValueError
        If it is none of those known. The message names the nearest.

    Examples
    --------
    >>> check_name("group", "school", ["school", "pupil"])
    'school'
    """
    words = list(known)
    if isinstance(value, str) and value in words:
        return value
    raise ValueError(f"{name} must be {options_text(words)}, not {value!r}{nearest(value, words)}")


def folded(word: str) -> str:
    """Reduce a word to what distinguishes it."""
    return word.strip().lower().replace("_", "-").replace(" ", "-")


def options_text(words: list[str]) -> str:
    """List values for a message: ``one of 'a', 'b', 'c'``."""
    shown = [repr(word) for word in words]
    return " or ".join(shown) if len(shown) < 3 else f"one of {', '.join(shown)}"


def nearest(value: Any, words: Iterable[str]) -> str:
    """Suggest the word that is most like a value: ``; did you mean 'a'?``, or nothing."""
    if not isinstance(value, str):
        return ""
    from difflib import get_close_matches

    known = {folded(word): word for word in words}
    found = get_close_matches(folded(value), list(known), 1, 0.6)
    return f"; did you mean {known[found[0]]!r}?" if found else ""
