"""Covariance structures around bars, and their names elsewhere."""

from __future__ import annotations

import re
from itertools import pairwise

__all__ = ["HOMOGENEOUS", "called_elsewhere", "is_structured_bar", "split_arguments"]

#: Structures that a bar may have, and whether they have one standard deviation by default.
HOMOGENEOUS = {
    "us": False,
    "diag": False,
    "cs": False,
    "ar1": True,
    "toep": False,
    "ou": True,
    "exponential": True,
    "matern": True,
}
#: Other software's names and their counterparts here.
ELSEWHERE = {
    "un": "us(... | g)",
    "homdiag": "diag(... | g, hom=True)",
    "homcs": "cs(... | g, hom=True)",
    "hetcs": "cs(... | g)",
    "hetar1": "ar1(... | g, hom=False)",
    "homtoep": "toep(... | g, hom=True)",
    "exp": "exponential(0 + x + y | g), with the columns of the coordinates",
    "mat": "matern(0 + x + y | g), with the columns of the coordinates",
    "gau": "matern(0 + x + y | g); Gaussian decay is its limit for a large smoothness",
    "rr": "(... | g): factors of lower rank are not available",
    "propto": "covariance={...} of lmer: the matrix is an argument there",
}
CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\(")


def is_structured_bar(source: str) -> bool:
    """Tell ``ar1(0 + t | g)`` from a call of a function."""
    match = CALL.match(source)
    if match is None or match.group(1) not in HOMOGENEOUS or not source.rstrip().endswith(")"):
        return False
    inside = source.rstrip()[match.end() : -1]
    return "|" in outside_brackets(inside)


def outside_brackets(text: str) -> str:
    """Blank out what stands in brackets or quotes."""
    out, depth, quote = [], 0, ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
            out.append(" ")
            continue
        if char in "'\"`":
            quote = char
        depth += char in "([{"
        out.append(" " if depth or quote else char)
        depth -= char in ")]}"
    return "".join(out)


def split_arguments(inside: str) -> list[tuple[int, str]]:
    """Split at commas outside of brackets: place and text of each argument."""
    visible = outside_brackets(inside)
    cuts = [-1, *(i for i, char in enumerate(visible) if char == ","), len(inside)]
    return [(a + 1, inside[a + 1 : b]) for a, b in pairwise(cuts)]


def called_elsewhere(name: str) -> str:
    """State the counterpart of another program's structure; empty if none is known."""
    known = ELSEWHERE.get(name)
    return f"{name}( | ) is other software's word; write {known}" if known else ""
