"""Messages of the command line: a line of text each, or a line of JSON."""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime
from typing import Any

from ..errors import FormulaError

__all__ = ["Log", "one_line", "plain"]


class Log:
    """Messages on standard error.

    Parameters
    ----------
    as_json : bool
        Whether each is a JSON object: time, level, event, and what belongs to it.
    quiet : bool
        Whether only errors are written.
    """

    def __init__(self, *, as_json: bool, quiet: bool = False):
        self.as_json = as_json
        self.quiet = quiet

    def info(self, event: str, **details: Any) -> None:
        """Report progress; not in text mode."""
        if self.as_json:
            self.write("info", event, details)

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """Report how far a long run is; not in text mode, which has a bar."""
        self.info("progress", done=done, total=total, unit=unit)

    def warning(self, message: Warning | str, category: type[Warning], *_: Any) -> None:
        """Report a warning; takes what ``warnings.showwarning`` takes."""
        if self.as_json:
            self.write("warning", category.__name__, {"message": one_line(message)})
        elif not self.quiet:
            print(f"ranef: warning: {one_line(message)}", file=sys.stderr)

    def error(self, message: str, *, kind: str = "error") -> None:
        """Report an error."""
        if self.as_json:
            self.write("error", kind, {"message": message})
        else:
            print(f"ranef: error: {message}", file=sys.stderr)

    def write(self, level: str, event: str, details: dict[str, Any]) -> None:
        """Write a line of JSON."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "level": level, "event": event, **details}
        print(json.dumps(plain(line)), file=sys.stderr, flush=True)


def one_line(message: object) -> str:
    """Return a message without its line breaks; put a formula error's place in words."""
    if isinstance(message, FormulaError) and message.text:
        first = str(message).split("\n\n")[0]
        return " ".join(f"{first} (character {message.start + 1} of the formula)".split())
    text = message.args[0] if isinstance(message, KeyError) and message.args else message
    return " ".join(str(text).split())


def plain(value: Any) -> Any:
    """Turn a value into what JSON can hold; numbers that are not finite become null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)
