"""Inputs that nobody meant: texts of formulas, frames of mixed columns, weights and groups.

A seed gives an input; what a fit may answer is a number for each coefficient, or one of our errors.
"""

from __future__ import annotations

import decimal
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

import ranef

N = 36
WRITTEN = (
    "y x z g h b s n 0 1 2 1e3 -1 . ~ + - * / : ^ ** ( ) | || , = == < > & % %in% $ @ ; ' \" ` [ ] "
    "{ } I( C( poly( bs( ns( log( exp( np.log( np.where( offset( cbind( factor( scale( as.factor( "
    "(1|g) (x|g) (0+x|g) (x||g) (1|g/h) (1|g:h) (1|h) C(s) poly(x,2) I(x**2) np.exp(x) x:z x*s "
    "s.str.upper() x.mean() x.groupby(g).mean() __import__('os') lambda \\ \n é 😀 **9**9 df=4 "
    "getattr( x.__class__ ar1(0+s|g) cs(0+s|g) s(x) te(x,z) mm(g,h) 9**9**9 True None nan inf"
)
PIECES = WRITTEN.split(" ")
#: A column of some kind, by rng.
COLUMNS: list[Callable[[np.random.Generator], object]] = [
    lambda r: r.normal(size=N),
    lambda r: r.integers(0, 5, N),
    lambda r: np.zeros(N),
    lambda r: np.full(N, np.nan),
    lambda r: np.where(r.random(N) < 0.3, np.nan, r.normal(size=N)),
    lambda r: np.where(r.random(N) < 0.1, np.inf, r.normal(size=N)),
    lambda r: r.normal(size=N) * 10.0 ** r.integers(-320, 308),
    lambda r: r.normal(size=N) + 10.0 ** r.integers(0, 18),
    lambda r: r.choice(list("abc"), N),
    lambda r: r.choice(["a", "", "NA", None], N),
    lambda r: pd.Categorical(r.choice(list("ab"), N), categories=list("abcz")),
    lambda r: r.random(N) < 0.5,
    lambda r: pd.array(r.choice([True, False, None], N), dtype="boolean"),
    lambda r: pd.array(r.integers(0, 4, N), dtype="Int8"),
    lambda r: pd.Timestamp("2024-01-01") + pd.to_timedelta(r.integers(0, 9, N), "D"),
    lambda r: pd.period_range("2020", periods=N, freq="M"),
    lambda r: [decimal.Decimal(int(v)) for v in r.integers(0, 3, N)],
    lambda r: [b"a", b"b"] * (N // 2),
    lambda r: r.choice(np.array([1, "a", None, 2.5, (1, 2)], dtype=object), N),
    lambda r: r.normal(size=N) + 1j,
    lambda r: r.integers(2**60, 2**60 + 3, N),
    lambda r: r.integers(2**63, 2**63 + 3, N, dtype=np.uint64),
    lambda r: r.normal(size=N).astype(np.float16),
    lambda r: np.arange(N) // int(r.integers(1, N)),
    lambda r: pd.cut(r.normal(size=N), 3),
]
FITS: list[Callable[..., object]] = [
    ranef.lmer,
    ranef.feols,
    lambda f, d, **k: ranef.glmer(f, d, family="poisson", **k),
    lambda f, d, **k: ranef.glmer(f, d, family="binomial", **k),
    lambda f, d, **k: ranef.gls(f, d, groups="g", corr="exchangeable", **k),
    lambda f, d, **k: ranef.gee(f, d, groups="g", **k),
]
FORMULAS = ["y ~ x + z", "y ~ x * s", "y ~ b + x + offset(z)", "sqrt(y) ~ poly(x, 2)", "y ~ 0 + s"]
BARS = [" + (1 | g)", " + (x | g)", " + (1 | g) + (1 | h)", " + (1 | g / h)", " + (z || h)"]


def formula(rng: np.random.Generator, seed: int) -> str:
    """Draw a formula that the seed's kind of model takes."""
    bars = str(rng.choice(BARS)) if seed % len(FITS) in (0, 2, 3) else ""
    return str(rng.choice(FORMULAS)) + bars


def text(seed: int) -> str:
    """Draw the text of a formula: pieces in any order, or a good one with a few changes."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.5:
        return "y ~ " + "".join(rng.choice(PIECES, rng.integers(1, 12)))
    good = formula(rng, seed)
    if rng.random() < 0.3:
        return good + str(rng.choice([" + ", ":", " - ", "*"])) + str(rng.choice(PIECES))
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, len(good)))
        good = good[:at] + str(rng.choice(PIECES)) + good[at + int(rng.integers(0, 3)) :]
    return good


def sane(rng: np.random.Generator) -> pd.DataFrame:
    """Draw a frame that any of the formulas can be fitted to."""
    d = pd.DataFrame({"x": rng.normal(size=N), "z": rng.normal(size=N), "y": rng.integers(0, 2, N)})
    d["g"], d["h"] = np.arange(N) // 6, np.arange(N) // 3
    d["s"], d["b"], d["n"] = rng.choice(list("uvw"), N), rng.random(N) < 0.5, 3
    return d


def answered(fit: Callable[..., object], written: str, d: pd.DataFrame, **options: object) -> str:
    """Fit, and name what came back; anything but numbers or an error of ours is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ranef.errors.RanefWarning)
        try:
            model = fit(written, d, **options)
        except ranef.RanefError as error:
            said = str(error)
        except (TypeError, ValueError) as error:
            if not told_by_us(error):
                raise
            said = str(error)
        else:
            said = ""
    if said:
        assert len(said) < 4000, written
        return "error"
    params = model.params  # type: ignore[attr-defined]
    dropped = [type(w).__name__ for w in model.warnings]  # type: ignore[attr-defined]
    if params.isna().any():
        assert "RankWarning" in dropped, f"{written!r}: NaN without a word"
    if model.nobs < len(d):  # type: ignore[attr-defined]
        assert "DroppedRowsWarning" in dropped, f"{written!r}: rows lost without a word"
    return "fit"


def told_by_us(error: BaseException) -> bool:
    """Whether the package itself raised the error."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step is not None and "ranef" in step.tb_frame.f_code.co_filename


def fuzz_formula(seed: int) -> str:
    """Fit a text that is hardly a formula."""
    rng = np.random.default_rng(seed)
    return answered(FITS[seed % len(FITS)], text(seed), sane(rng))


def fuzz_frame(seed: int) -> str:
    """Fit a formula to a frame with columns of any kind, and weights now and then."""
    rng = np.random.default_rng(seed)
    d = sane(rng)
    for name in rng.choice(list(d.columns), rng.integers(1, 4), replace=False):
        d[name] = COLUMNS[rng.integers(0, len(COLUMNS))](rng)
    options = {}
    if rng.random() < 0.3:
        options["weights"] = rng.choice(["x", "n", "y", "z"])
    if rng.random() < 0.2:
        d = d.sample(frac=float(rng.random()), random_state=int(seed))
    return answered(FITS[seed % len(FITS)], formula(rng, seed), d, **options)
