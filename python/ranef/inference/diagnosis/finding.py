"""One finding about a model or its data."""

from __future__ import annotations

from dataclasses import dataclass

from ..._html import Preformatted

__all__ = ["SEVERITIES", "Finding"]

#: From worst to mildest.
SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding(Preformatted):
    """One thing that an analyst should know about a model or its data.

    Attributes
    ----------
    code : str
        Its name, by which ``ranef.help(code)`` explains it.
    severity : str
        "error" (the model cannot be estimated or is not what was meant), "warning" or "note".
    evidence : str
        What was seen, with numbers.
    advice : str
        What to do.
    fix : str
        A line of code that does it, or empty.
    about : str
        The column or grouping factor that it is about, where that is one.
    """

    code: str
    severity: str
    evidence: str
    advice: str
    fix: str = ""
    about: str = ""
