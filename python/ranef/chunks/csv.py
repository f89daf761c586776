"""How a CSV file is written: its separator, its decimal sign, its missing values."""

from __future__ import annotations

import bz2
import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["MISSING", "TEXT_KINDS", "csv_format"]

#: What stands for a missing value in a file, as pandas and R read them.
MISSING = (
    *["", "NA", "N/A", "n/a", "<NA>", "#N/A", "#NA", "#N/A N/A", "NULL", "null", "None"],
    *["NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"],
)

#: Endings of text files, and of compressed ones.
TEXT_KINDS = ("csv", "tsv", "tab", "txt")
COMPRESSED: dict[str, Callable[..., Any]] = {"gz": gzip.open, "bz2": bz2.open}

SEPARATORS = (",", ";", "\t", "|")
DECIMAL_COMMA = re.compile(r"-?\d+,\d+")

#: Characters that are inspected.
HEAD = 65_536


@dataclass(frozen=True)
class Style:
    """How a text file is written.

    Attributes
    ----------
    separator : str
        Separator of two values.
    decimal : str
        Sign before the fraction of a number.
    """

    separator: str
    decimal: str


def csv_format(path: str) -> Any:
    """Describe a CSV file for pyarrow, from its first lines."""
    from pyarrow import csv, dataset

    style = style_of(head_of(path))
    return dataset.CsvFileFormat(
        parse_options=csv.ParseOptions(delimiter=style.separator),
        convert_options=csv.ConvertOptions(
            null_values=list(MISSING), strings_can_be_null=True, decimal_point=style.decimal
        ),
    )


def head_of(path: str) -> str:
    """Read the first characters of a file, compressed or not."""
    opened = COMPRESSED.get(path.rpartition(".")[2].lower(), open)
    with opened(path, "rt", encoding="utf-8", errors="replace") as file:
        text: str = file.read(HEAD)
    return text


def style_of(head: str) -> Style:
    """Tell the separator from the line of names, and the decimal sign from the values.

    A comma is the decimal sign where something else separates values and numbers have commas, never
    a point.
    """
    lines = re.sub(r'"[^"]*"', "", head).splitlines()
    names = lines[0] if lines else ""
    separator = max(SEPARATORS, key=names.count)
    if not names.count(separator):
        separator = ","
    values = [value.strip() for line in lines[1:] for value in line.split(separator)]
    with_comma = separator != "," and any(DECIMAL_COMMA.fullmatch(value) for value in values)
    with_point = any(re.fullmatch(r"-?\d+\.\d+", value) for value in values)
    return Style(separator, "," if with_comma and not with_point else ".")
