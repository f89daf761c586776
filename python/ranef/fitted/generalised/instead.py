"""Words that some generalised models lack, and what to use instead."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ELSEWHERE", "OF_SEVERAL"]

#: Of models of several predictors and of ordered responses.
OF_SEVERAL: Mapping[str, str] = {
    "caic": "use ranef.compare(by='aic'), or the conditional AIC of a Poisson or binomial model",
    "overdispersion": "model.simulated_residuals().dispersion() tests it; ranef.compare ranks "
    "families",
    "wild_bootstrap": "use model.robust('CR2'), or ranef.gee(...).wild_bootstrap(term)",
}

#: Functions that do not treat such models, and what to use instead.
ELSEWHERE: Mapping[str, str] = {
    "average": "rank them by ranef.compare",
    "diagnose": "model.convergence and model.summary() report how the fit went",
    "doctor": "model.convergence and model.summary() report how the fit went",
    "for_marginaleffects": "take ranef.emmeans(model, ...), which has their scales",
    "part_r2": "model.update() without a term, and compare model.r2() of both",
    "rlrt": "ranef.pbtest simulates the test, and ranef.anova has its p-value for the boundary",
    "": "it treats models of ranef.lmer",
}
