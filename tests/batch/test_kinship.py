"""One known covariance and many responses, against single fits."""

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.models.batch import blocks, kinship


def sample(levels=40, repeats=1, responses=6, seed=2):
    rng = np.random.default_rng(seed)
    markers = rng.binomial(2, 0.3, (levels, 2 * levels)).astype(float)
    markers -= markers.mean(axis=0)
    labels = [f"a{i}" for i in range(levels)]
    A = markers @ markers.T / (2.0 * levels) + 0.05 * np.eye(levels)
    ids = np.repeat(np.arange(levels - 3), repeats)  # three without records
    frame = pd.DataFrame({"animal": np.array(labels)[ids], "x": rng.normal(size=len(ids))})
    frame["w"] = rng.uniform(0.5, 2.0, len(ids))
    u = np.linalg.cholesky(A) @ rng.normal(size=(levels, responses))
    share = np.linspace(0.0, 0.9, responses)
    Y = (
        2.0
        + np.sqrt(share) * u[ids]
        + np.sqrt(1.0 - share) * rng.normal(size=(len(ids), responses))
    )
    Y += 0.2 * frame["x"].to_numpy()[:, None]
    return frame, pd.DataFrame(A, labels, labels), Y


FORMULA = "~ x + (1 | animal)"


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(("repeats", "weights"), [(1, None), (3, "w")])
def test_every_response_is_fitted_as_alone(reml, repeats, weights):
    frame, A, Y = sample(repeats=repeats)
    batch = ranef.fit_many(
        FORMULA, frame, Y, covariance={"animal": A}, reml=reml, weights=weights, progress=False
    )
    assert (batch.fits["status"] == "converged").all()
    for i in range(Y.shape[1]):
        alone = ranef.lmer(
            f"y {FORMULA}",
            frame.assign(y=Y[:, i]),
            covariance={"animal": A},
            reml=reml,
            weights=weights,
        )
        row = batch.fits.iloc[i]
        assert row["llf"] == pytest.approx(alone.llf, abs=1e-6)
        sd = np.sqrt(alone.varcorr["animal"].iloc[0, 0])
        # Where no residual is left, the likelihood is flat to 1e-8 and more.
        near = 1e-5 if alone.sigma > 0.01 * sd else 1e-2
        assert row["sigma"] == pytest.approx(alone.sigma, abs=near)
        assert row["sd_Intercept|animal"] == pytest.approx(sd, abs=10.0 * near)
        own = batch.table[batch.table["response"] == batch.fits["response"].iloc[i]]
        np.testing.assert_allclose(own["estimate"], alone.params, atol=0.1 * near)
        np.testing.assert_allclose(own["se"], alone.bse, rtol=near)
    assert batch.fit(2).llf == pytest.approx(batch.fits["llf"].iloc[2], abs=1e-6)


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_missing_values_pedigrees_and_files(tmp_path):
    frame, A, Y = sample(repeats=2)
    Y[::7, 0], Y[::5, 3] = np.nan, np.nan
    batch = ranef.fit_many(FORMULA, frame, Y, covariance={"animal": A}, progress=False)
    for i in (0, 3):
        kept = ~np.isnan(Y[:, i])
        alone = ranef.lmer(
            f"y {FORMULA}", frame[kept].assign(y=Y[kept, i]), covariance={"animal": A}
        )
        assert batch.fits["llf"].iloc[i] == pytest.approx(alone.llf, abs=1e-6)
    Q = ranef.Precision(np.linalg.inv(A.to_numpy()), list(A.index))
    stored = ranef.fit_many(
        FORMULA, frame, Y, covariance={"animal": Q}, progress=False, out=tmp_path / "fits"
    )
    np.testing.assert_allclose(stored.fits["llf"], batch.fits["llf"], atol=1e-8)


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_aliased_columns_constants_and_what_is_not_finite():
    frame, A, Y = sample()
    frame["twice"] = 2.0 * frame["x"]
    Y[:, 1], Y[0, 2] = 5.0, np.inf
    batch = ranef.fit_many(
        "~ x + twice + (1 | animal)", frame, Y, covariance={"animal": A}, progress=False
    )
    assert batch.fits["status"].iloc[1] == "explained"
    assert batch.fits["status"].iloc[2] == "not finite"
    own = batch.table[batch.table["response"] == batch.fits["response"].iloc[4]]
    assert np.isnan(own["estimate"].iloc[2])
    assert np.isfinite(own["estimate"].iloc[1])
    plain = ranef.fit_many(FORMULA, frame, Y, covariance={"animal": A}, progress=False)
    assert batch.fits["llf"].iloc[4] == pytest.approx(plain.fits["llf"].iloc[4], abs=1e-8)


def test_what_it_does_not_do_is_said():
    frame, A, Y = sample()
    frame["herd"] = np.arange(len(frame)) % 5
    given = {"covariance": {"animal": A}, "progress": False}
    for formula in ("~ x + (1 | animal) + (1 | herd)", "~ x + (x | animal)"):
        with pytest.raises(ranef.UnsupportedError, match="one response at a time"):
            ranef.fit_many(formula, frame, Y, **given)
    with pytest.raises(ranef.UnsupportedError, match="normal responses"):
        ranef.fit_many(FORMULA, frame, np.abs(Y).round(), family="poisson", **given)
    with pytest.raises(ranef.UnsupportedError, match="one column of weights"):
        ranef.fit_many(FORMULA, frame, Y, weights=np.ones_like(Y), **given)
    with pytest.raises(ranef.UnsupportedError, match="Satterthwaite"):
        ranef.fit_many(FORMULA, frame, Y, ddf="satterthwaite", **given)
    with pytest.raises(ranef.DataError, match="grouping factor"):
        ranef.fit_many(FORMULA, frame, Y, covariance={"nobody": A}, progress=False)


def test_responses_are_rotated_together_however_slow_the_machine_is(monkeypatch):
    frame, A, Y = sample()
    many = np.tile(Y, (1, 60))[:, :300]
    sizes = []
    fit = kinship.Kinship.fit

    def slow(self, block, *, reml):
        sizes.append(block.shape[1])
        return fit(self, block, reml=reml)

    monkeypatch.setattr(kinship.Kinship, "fit", slow)
    monkeypatch.setattr(blocks, "BLOCK_SECONDS", 1e-9)
    batch = ranef.fit_many(FORMULA, frame, many, covariance={"animal": A}, progress=False)
    assert sizes == [256, 44]
    few = ranef.fit_many(FORMULA, frame, many[:, :3], covariance={"animal": A}, progress=False)
    np.testing.assert_allclose(batch.fits["llf"].iloc[:3], few.fits["llf"], atol=1e-8)
