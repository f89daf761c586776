"""Groups of every kind of column: chunks read what a frame reads."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ranef

LEVELS = np.repeat(np.arange(24), 12)
DAYS = pd.Timestamp("2021-03-01") + pd.to_timedelta(np.arange(24) * 3, "D")

KINDS: dict[str, Callable[[], Any]] = {
    "dates": lambda: DAYS[LEVELS],
    "dates with a zone": lambda: DAYS.tz_localize("Europe/Berlin")[LEVELS],
    "days of Python": lambda: pd.Series([dt.date(2021, 1, 1 + int(g)) for g in LEVELS]),
    "periods": lambda: DAYS.to_period("D")[LEVELS],
    "timedeltas": lambda: (DAYS - DAYS[0])[LEVELS],
    "decimals": lambda: pd.Series([decimal.Decimal(int(g)) / 4 for g in LEVELS]),
    "bytes": lambda: pd.Series([b"id%02d" % g for g in LEVELS]),
    "big-endian": lambda: LEVELS.astype(">i4"),
    "big-endian floats": lambda: LEVELS.astype(">f8"),
    "int64 of 2**60": lambda: LEVELS + 2**60,
    "unsigned bytes": lambda: LEVELS.astype(np.uint8),
    "negative": lambda: LEVELS - 2**62,
    "booleans and text": lambda: pd.Series(LEVELS).map(lambda g: f"{g % 2 == 0} {g:02d}"),
    "categories": lambda: pd.Categorical([f"k{g:02d}" for g in LEVELS]),
    "nullable": lambda: pd.array(LEVELS, dtype="Int64"),
}


def rows(group: Any) -> pd.DataFrame:
    """Rows of 24 groups, shuffled."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=len(LEVELS))
    y = x + rng.normal(size=24)[LEVELS] + rng.normal(size=len(LEVELS))
    order = rng.permutation(len(LEVELS))
    frame = pd.DataFrame({"y": y, "x": x}).iloc[order].reset_index(drop=True)
    taken = group[order] if isinstance(group, np.ndarray) else pd.Series(group).iloc[order]
    return frame.assign(g=getattr(taken, "array", taken))


RIGHT = ranef.lmer("y ~ x + (x | g)", rows(LEVELS))


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_and_chunks_read_groups_of_this_kind(kind: str) -> None:
    frame = rows(KINDS[kind]())
    whole = ranef.lmer("y ~ x + (x | g)", frame)
    parts = [frame.iloc[at : at + 100] for at in range(0, len(frame), 100)]
    summed = ranef.lmer("y ~ x + (x | g)", parts, progress=False)
    assert whole.ngroups == summed.ngroups == {"g": 24}
    assert whole.llf == pytest.approx(RIGHT.llf, abs=1e-7)
    assert summed.llf == pytest.approx(RIGHT.llf, abs=1e-6)
    np.testing.assert_allclose(
        summed.ranef()["g"].to_numpy(), whole.ranef()["g"].to_numpy(), atol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_groups_of_this_kind_are_fitted_one_by_one(kind: str) -> None:
    frame = rows(KINDS[kind]())
    frame["k"] = np.arange(len(frame)) % 3
    frame["by"] = frame.pop("g")
    found = ranef.fit_groups("y ~ x + (1 | k)", frame, by="by", progress=False)
    assert len(found.fits) == 24


def test_a_grouping_column_that_is_a_predictor_too_keeps_its_values() -> None:
    frame = rows(LEVELS).assign(t=lambda d: d["g"] % 8)
    frame["y"] += np.array([3.0, -2.0, 1.0, 2.0, -1.0, -3.0, 2.5, 0.0])[frame["t"]]
    parts = [frame.iloc[at : at + 70] for at in range(0, len(frame), 70)]
    whole = ranef.lmer("y ~ t + (1 | g) + (1 | t)", frame)
    summed = ranef.lmer("y ~ t + (1 | g) + (1 | t)", parts, progress=False)
    np.testing.assert_allclose(summed.params, whole.params, atol=1e-6)
