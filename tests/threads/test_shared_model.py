"""One fitted model, asked from several threads at once: the answers of one thread alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

import ranef

QUESTIONS = {
    "degrees of freedom": lambda model, rows: model.coef_table().to_numpy(),
    "Kenward and Roger": lambda model, rows: model.coef_table("kenward-roger").to_numpy(),
    "another criterion": lambda model, rows: model.update(reml=False).llf,
    "conditional variances": lambda model, rows: model.ranef().cov["g"],
    "predictions": lambda model, rows: model.predict(rows, interval="prediction").to_numpy(),
}


def crossed():
    rng = np.random.default_rng(0)
    n = 1500
    rows = pd.DataFrame(
        {"g": rng.integers(0, 40, n), "h": rng.integers(0, 30, n), "x": rng.normal(size=n)}
    )
    a, slopes, b = rng.normal(size=(3, 40))
    rows["y"] = a[rows.g] + slopes[rows.g] * rows.x + b[rows.h] + rng.normal(size=n)
    return rows


def test_threads_that_share_a_model_do_not_disturb_each_other():
    rows = crossed()

    def fitted():
        return ranef.lmer("y ~ x + (x | g) + (1 | h)", rows)

    alone = {name: ask(fitted(), rows.head(5)) for name, ask in QUESTIONS.items()}
    shared = fitted()
    asked = list(QUESTIONS) * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda name: QUESTIONS[name](shared, rows.head(5)), asked))
    for name, answer in zip(asked, answers, strict=True):
        np.testing.assert_array_equal(answer, alone[name], err_msg=name)


def test_threads_that_share_a_model_with_structured_residuals():
    rows = crossed().head(600)
    rows["t"] = rows.groupby("g").cumcount()

    def fitted():
        return ranef.gls("y ~ x + (1 | g)", rows, groups="g", time="t", corr="ar1", variance="~ x")

    questions = {
        "degrees of freedom": lambda model: model.coef_table().to_numpy(),
        "conditional variances": lambda model: model.ranef().cov["g"],
        "another criterion": lambda model: model.update(reml=False).llf,
        "residuals": lambda model: model.resid_normalized.to_numpy(),
        "intervals": lambda model: model.covariance_params().to_numpy(),
    }
    alone = {name: ask(fitted()) for name, ask in questions.items()}
    shared = fitted()
    asked = list(questions) * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda name: questions[name](shared), asked))
    for name, answer in zip(asked, answers, strict=True):
        np.testing.assert_array_equal(answer, alone[name], err_msg=name)
