"""One fitted model asked by several threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

import ranef


def test_a_model_answers_several_threads_as_it_answers_one():
    ratings = ranef.datasets.load("InstEval").head(5000)
    model = ranef.lmer("y ~ service + (1 | s) + (1 | d)", ratings)
    at = list(model._estimate.lambda_standard)

    def slope():
        return model._core.curvature(at, True).gradient

    def spread():
        return model.ranef().cov["d"]

    def error():
        return model.predict(ratings.head(200), interval="confidence")["upper"].to_numpy()

    questions = [slope, spread, error] * 8
    alone = [question() for question in questions[:3]] * 8
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda question: question(), questions))
    for one, many in zip(alone, together, strict=True):
        np.testing.assert_allclose(many, one, rtol=1e-9, atol=1e-9)
