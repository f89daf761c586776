"""The blocks of code of a page, run in the page's order.

Two comments, unseen by readers, prepare a page: ``<!-- before: code -->`` runs code where it
stands, to make small data that the page takes for given; ``<!-- smaller: "a" "b" -->`` writes b for
a in the blocks that follow, so that an example of a thousand fits takes a moment.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
from collections.abc import Callable
from typing import Any

__all__ = ["run"]

PART = re.compile(
    r"^```(?P<language>python|pycon)\n(?P<code>.*?)^```$"
    r"|<!-- before:(?P<before>.*?)-->|<!-- smaller: (?P<smaller>.*?) -->",
    re.DOTALL | re.MULTILINE,
)
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def run(
    text: str,
    name: str,
    known: dict[str, Any],
    after: Callable[[int, str], object] = lambda end, printed: None,
) -> tuple[int, list[str]]:
    """Run the blocks of a page.

    Parameters
    ----------
    text, name : str
        The page and what messages call it.
    known : dict
        Names that the blocks see and make.
    after : callable
        Called after each block with the place of its end in the text and what it printed.

    Returns
    -------
    int
        Number of blocks.
    list of str
        What was printed otherwise than the page says.
    """
    wrong: list[str] = []
    count, smaller = 0, {}
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    for part in PART.finditer(text):
        line = text.count("\n", 0, part.start()) + 1
        if part["smaller"]:
            smaller.update([shlex.split(part["smaller"])])
            continue
        code, printed = part["before"] or part["code"], io.StringIO()
        for large, small in smaller.items():
            code = code.replace(large, small)
        count += part["code"] is not None
        if ">>>" in code:
            test = doctest.DocTestParser().get_doctest(code, known, name, name, line)
            runner.run(test, out=wrong.append, clear_globs=False)
            known.update(test.globs)
        else:
            with contextlib.redirect_stdout(printed):
                exec(compile("\n" * line + code, name, "exec"), known)
        after(part.end(), printed.getvalue())
    return count, wrong
