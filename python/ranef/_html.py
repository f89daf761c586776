"""Results that a notebook shows as they print."""

from __future__ import annotations

from html import escape

__all__ = ["Preformatted"]


class Preformatted:
    """A result that shows in a notebook as its text."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"
