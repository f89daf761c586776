"""The same rows in any container give the same numbers, in the fit and in all that follows."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

import ranef
from contract.test_surface import FITS, NAMES, data


def twice_named(d):
    """A frame with two columns of one name that no formula uses."""
    return pd.concat([d, d[["spare"]]], axis=1)


CONTAINERS = {
    "dict of arrays": lambda d: {name: d[name].to_numpy() for name in d},
    "dict of lists": lambda d: {name: list(d[name]) for name in d},
    "dict of series": lambda d: dict(d.items()),
    "records": lambda d: d.to_records(index=False),
    "polars": lambda d: pl.from_pandas(d.reset_index(drop=True)),
    "arrow": lambda d: pa.Table.from_pandas(d, preserve_index=False),
    "big-endian": lambda d: d.assign(
        x=d.x.to_numpy().astype(">f8"), t=d.t.to_numpy().astype(">i4")
    ),
    "column names twice": twice_named,
}
#: Those that lose the order of categories.
WITHOUT_ORDER = {"dict of arrays", "dict of lists", "records", "polars"}


def scores(m):
    return ranef.cross_validate(m, folds=4, seed=1, progress=False).table


#: Everything that reads the caller's rows again.
AFTER = {
    "params": lambda m: m.params,
    "predict": lambda m: m.predict(),
    "augment": lambda m: m.augment()[[".fitted", ".resid"]],
    "update": lambda m: m.update("~ . + I(x**2)").params,
    "influence": lambda m: m.influence("g").table,
    "emmeans": lambda m: ranef.emmeans(m, "x").to_frame().select_dtypes("number"),
    "robust": lambda m: m.robust(cluster="g").bse,
    "rows": lambda m: ranef.cross_validate(m, folds=4, seed=1, progress=False).table.select_dtypes(
        "number"
    ),
    "icc": lambda m: m.icc(at={"t": [0, 2]}),
}


def outcome(model, what):
    """What comes back, or the kind of refusal."""
    try:
        return np.asarray(AFTER[what](model), dtype=float)
    except (ranef.RanefError, AttributeError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


@pytest.fixture(scope="module")
def frame():
    return data().assign(spare=1.0)


@NAMES
def test_a_container_changes_nothing(frame, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = FITS[name](frame)
        answers = {what: outcome(expected, what) for what in AFTER}
        assert sum(not isinstance(answer, str) for answer in answers.values()) >= 3
        for container, held in CONTAINERS.items():
            if name == "CumulativeLinkModel" and container in WITHOUT_ORDER:
                with pytest.raises(ranef.DataError, match="ordered=True"):
                    FITS[name](held(frame))
                continue
            model = FITS[name](held(frame))
            for what, answer in answers.items():
                got = outcome(model, what)
                if isinstance(answer, str):
                    assert got == answer, (container, what)
                else:
                    assert not isinstance(got, str), (container, what, got)
                    assert_allclose(
                        got, answer, rtol=1e-8, atol=1e-10, err_msg=f"{container} {what}"
                    )
