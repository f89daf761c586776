"""Words of performance and DHARMa, as functions and as what is typed on a model or on residuals."""

from __future__ import annotations

__all__ = ["CHECKS", "RESIDUALS", "UNCHECKED"]

P, D = "performance", "DHARMa"
SIMULATED = "model.simulated_residuals()"
VALIDATED = "ranef.cross_validate(model)"
TABLE = "a table of models: maketables.ETable([model])"


def _all(words: str, whose: str, cure: str) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(words.split(), (whose, cure))


#: Tests of simulated residuals by DHARMa's names, and what the residuals here call them.
TESTS: dict[str, str] = {
    "testUniformity": "uniformity()",
    "testPDistribution": "uniformity()",
    "testDispersion": "dispersion()",
    "testOverdispersion": "dispersion()",
    "testOutliers": "outliers()",
    "outliers": "outliers()",
    "testZeroInflation": "zeros()",
    "testGeneric": "compare(statistic)",
    "testQuantiles": "against()",
    "testCategorical": "by_group()",
    "recalculateResiduals": "by_group()",
    "testTemporalAutocorrelation": "autocorrelation()",
    "testSpatialAutocorrelation": 'spatial("x", "y")',
    "testResiduals": "table",
    "testSimulatedResiduals": "table",
    "plotResiduals": "plot.against()",
    "plotQQunif": "plot.qq()",
    "getResiduals": "residuals",
    "fittedResiduals": "residuals",
    "scaledResiduals": "probabilities",
    "getQuantile": "probabilities",
}

#: What is typed on simulated residuals.
RESIDUALS: dict[str, str] = {
    **{word: f"write residuals.{ours}" for word, ours in TESTS.items() if word != ours[:-2]},
    "plotSimulatedResiduals": "write model.check()",
    "simulatedResponse": "write residuals.responses_drawn",
    "getSimulations": "write residuals.responses_drawn",
    "getObservedResponse": "write residuals.y",
    "observedResponse": "write residuals.y",
    "fittedPredictedResponse": "write residuals.fitted",
    "getFitted": "write residuals.fitted",
    "nObs": "write len(residuals.y)",
    "nSim": "write residuals.simulated.shape[1]",
    "integerResponse": "write residuals.discrete",
    "refit": "the model is fitted again to each response drawn; refit=False keeps its covariances",
}

#: What is typed on a model or the module.
CHECKS: dict[str, tuple[str, str]] = {
    **{word: (D, f"{SIMULATED}.{ours}") for word, ours in TESTS.items()},
    **_all("simulateResiduals createDHARMa", D, SIMULATED),
    **_all("plotSimulatedResiduals", D, "model.check()"),
    **_all("plotConventionalResiduals", D, "model.plot.residuals()"),
    **_all("getSimulations simulatedResponse", D, "model.simulate(n)"),
    **_all("getFitted fittedPredictedResponse", D, "model.fittedvalues"),
    **_all("getObservedResponse observedResponse", D, "model.design.y"),
    **_all("getFixedEffects", D, "model.params"),
    **_all("getPearsonResiduals", D, 'model.residuals("pearson")'),
    **_all("getRefit", D, "model.refit(y)"),
    **_all("getFamily", D, "model.call.family of models of ranef.glmer and ranef.gee"),
    **_all("getRandomState", D, "the argument seed= of model.simulated_residuals"),
    **_all("nSim", D, "the argument n of model.simulated_residuals"),
    **_all("nObs", D, "model.nobs"),
    **_all("check_residuals simulate_residuals binned_residuals", P, SIMULATED),
    **_all("check_autocorrelation", P, f"{SIMULATED}.autocorrelation()"),
    **_all("check_heteroskedasticity", P, f"{SIMULATED}.against()"),
    **_all("check_homogeneity", P, f"{SIMULATED}.by_group()"),
    **_all("check_zeroinflation", P, f"{SIMULATED}.zeros()"),
    **_all(
        "check_predictions check_posterior_predictions posterior_predictive_check",
        P,
        f"{SIMULATED}.responses()",
    ),
    **_all("check_heterogeneity_bias", P, "ranef.approaches(...), or ranef.within_between(...)"),
    **_all("check_group_variation check_distribution", P, "ranef.diagnose(model)"),
    **_all("multicollinearity", P, "ranef.diagnose(model), which finds collinear predictors"),
    **_all("model_performance performance", P, "model.glance()"),
    **_all("performance_aic", P, "model.aic"),
    **_all("performance_aicc", P, "model.aicc"),
    **_all("performance_rse rse", P, "model.sigma"),
    **_all("performance_cv performance_logloss performance_mae performance_mse", P, VALIDATED),
    **_all("performance_rmse performance_score performance_accuracy", P, VALIDATED),
    **_all("performance_roc", P, "sklearn.metrics.roc_auc_score(y, p), p = model.predict()"),
    **_all(
        """r2_bayes r2_coxsnell r2_efron r2_ferrari r2_kullback r2_mcfadden r2_mckelvey
        r2_nagelkerke r2_posterior r2_somers r2_tjur r2_xu r2_zeroinflated""",
        P,
        "model.r2(), or ranef.r2_table(model) for all definitions",
    ),
    **_all("r2_loo r2_loo_posterior", P, "ranef.r2_table(model), with groups and rows left out"),
    **_all("looic", P, "model.sample().loo()"),
    **_all("test_likelihoodratio test_lrt test_performance", P, "ranef.anova(small, large)"),
    **_all("test_wald", P, "model.test(...)"),
    **_all("test_bf", P, 'ranef.compare(small, large, by="bic")'),
    **_all("display print_md print_html", P, TABLE),
}

#: Words without a counterpart here.
UNCHECKED: dict[str, str] = {
    P: """check_clusterstructure check_concurvity check_dag check_factorstructure check_htest
        check_itemscale check_kmo check_multimodal check_sphericity check_sphericity_bartlett
        check_symmetry cronbachs_alpha item_difficulty item_discrimination measures
        performance_cronbachs performance_dvour performance_hosmer performance_pcp
        performance_reliability r2_mlm test_vuong""",
    D: """benchmarkRuntime correctCov createData fittedModel getPossibleModels hurricanes
        integerResponse rotation runBenchmarks transformQuantiles""",
}
