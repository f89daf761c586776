"""Words of parameters, pymer4, linearmodels, nlme and pbkrtest, and more of those before."""

from __future__ import annotations

__all__ = ["ARGUMENTS", "PACKAGED", "UNPACKAGED"]

PA, PY, LI, NL, PB = "parameters", "pymer4", "linearmodels", "nlme", "pbkrtest"
P, D, SM, PF = "performance", "DHARMa", "statsmodels", "pyfixest"
TABLE = "model.coef_table()"
SATTERTHWAITE = 'model.coef_table(ddf="satterthwaite")'
KENWARD = 'model.coef_table(ddf="kenward-roger")'
RESIDUALS = "model.simulated_residuals()"
MADE = "a column made before the fit, from the frame"
ABSORBED = "model.effects() of models of ranef.feols"
INCLUDED = "the argument absorb= of ranef.feols"
STRUCTURE = "ranef.gls(..., corr=..., variance=...)"
COVARIANCES = "diag(), cs(), ar1() and the like inside bars of ranef.lmer"
DRAWN = "model.bootstrap(), or model.sample() for posterior draws"
CODED = "C(f, contr.sum) or factor(f) in the formula, or the argument contrasts= of ranef.lmer"
SEARCH = "model.convergence, and the argument control=ranef.Control(...)"


def _all(words: str, whose: str, cure: str) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(words.split(), (whose, cure))


#: Words of models and modules, and what to write here.
PACKAGED: dict[str, tuple[str, str]] = {
    **_all("pp_check", P, f"{RESIDUALS}.responses()"),
    **_all("performance_lrt", P, "ranef.anova(small, large)"),
    **_all("testUniformDistribution", D, f"{RESIDUALS}.uniformity()"),
    **_all("testOverdispersionParametric parametricDispersionTest", D, f"{RESIDUALS}.dispersion()"),
    **_all("overdisp_fun", D, "model.overdispersion() of models of ranef.glmer"),
    **_all("simulateLRT", D, "ranef.pbtest(large, small)"),
    **_all("checkModel", D, "ranef.diagnose(model)"),
    **_all("model_parameters parameters", PA, TABLE),
    **_all("compare_parameters compare_models", PA, "ranef.compare(...)"),
    **_all("random_parameters", PA, "model.varcorr"),
    **_all("n_parameters", PA, "model.npar"),
    **_all("n_clusters", PA, "model.ngroups"),
    **_all("standard_error", PA, "model.bse"),
    **_all("se_satterthwaite", PA, SATTERTHWAITE),
    **_all("se_kenward p_value_kenward dof_kenward", PA, KENWARD),
    **_all("p_value p_value_wald", PA, "model.pvalues"),
    **_all("p_value_satterthwaite dof_satterthwaite", PA, SATTERTHWAITE),
    **_all("degrees_of_freedom dof", PA, f"{TABLE}, whose column df has them, and model.df_resid"),
    **_all(
        """se_betwithin se_ml1 p_value_betwithin p_value_ml1 dof_betwithin dof_ml1 ci_betwithin
        ci_ml1""",
        PA,
        f"{SATTERTHWAITE}; these rules of thumb are not offered",
    ),
    **_all("ci ci_wald", PA, "model.conf_int()"),
    **_all("ci_satterthwaite", PA, 'model.conf_int(), or ranef.emmeans(..., ddf="satterthwaite")'),
    **_all("ci_kenward", PA, f"{KENWARD}, estimate and se, with its df"),
    **_all("ci_robust p_value_robust standard_error_robust", PA, 'model.robust("CR2")'),
    **_all("bootstrap_model bootstrap_parameters", PA, "model.bootstrap()"),
    **_all("simulate_model simulate_parameters", PA, DRAWN),
    **_all("pool_parameters", PA, "ranef.pool(models)"),
    **_all("select_parameters reduce_parameters", PA, "ranef.step(model)"),
    **_all("check_heterogeneity", PA, "ranef.approaches(...), or ranef.within_between(...)"),
    **_all("degroup demean", PA, "ranef.within_between(formula, data, groups)"),
    **_all("center rescale_weights", PA, MADE),
    **_all("data_to_numeric", PA, "pd.to_numeric(data['x']), before the fit"),
    **_all(
        "standardize_parameters standardize_info effectsize standardize",
        "effectsize",
        "model.params of a model of standardised columns: (x - x.mean()) / x.std()",
    ),
    **_all(
        "report report_table",
        "report",
        "model.summary(), ranef.checklist(model) for what a paper states, and model.tidy()",
    ),
    **_all("dominance_analysis", PA, "ranef.part_r2(model, ...)"),
    **_all(
        "equivalence_test p_function p_significance consonance_function confidence_curve",
        PA,
        "model.conf_int(level=0.9), to be compared with the bounds; model.profile().plot()",
    ),
    **_all("p_direction", PA, "model.sample().table()"),
    **_all("format_parameters format_p_adjust sort_parameters parameters_type", PA, TABLE),
    **_all("Lm Lm2 Lmer LmerModel", PY, "ranef.lmer(...) or ranef.feols(...)"),
    **_all("skmer", PY, "MixedRegressor, of the module sklearn of ranef"),
    **_all("ci_type conf_level conf_method cis nboot", PY, 'model.conf_int("profile", level=0.95)'),
    **_all("coefs result_fit", PY, TABLE),
    **_all("fit_stats result_fit_stats", PY, "model.glance()"),
    **_all("result_anova summary_anova", PY, "model.anova()"),
    **_all("result_boots", PY, "model.bootstrap()"),
    **_all("result_vif", PY, "ranef.diagnose(model), which finds collinear predictors"),
    **_all(
        "post_hoc marginal_estimates marginal_contrasts result_emmeans contrasts",
        PY,
        "ranef.emmeans(model, ...).pairs()",
    ),
    **_all("empredict", PY, "ranef.emmeans(model, specs, at={...})"),
    **_all("convergence_status", PY, "model.convergence"),
    **_all("data data_augmented", PY, "model.augment()"),
    **_all("design_matrix", PY, "model.design.X"),
    **_all("fits", PY, "model.fittedvalues"),
    **_all("grps", PY, "model.ngroups"),
    **_all("logLike", PY, "model.llf"),
    **_all("link", PY, "model.call.link of models of ranef.glmer"),
    **_all("ranef_var ranef_corr", PY, "model.varcorr"),
    **_all("coef_rfx_", PY, "model.coef()"),
    **_all("ranef_pairs", PY, "model.plot.caterpillar(), and model.plot.shrinkage()"),
    **_all("plot_summary", PY, "model.plot.coefficients()"),
    **_all(
        """factors contrast_codes set_contrasts set_factors show_contrasts show_factors
        unset_factors""",
        PY,
        CODED,
    ),
    **_all("set_transforms show_transforms transformed unset_transforms", PY, MADE),
    **_all("show_logs clear_logs", PY, "model.warnings"),
    **_all("r_model model_obj r_console to_corrs", PY, "no R behind it: numbers are model's own"),
    **_all("BetweenOLS", LI, "ranef.feols(formula, data.groupby('g').mean())"),
    **_all("RandomEffects", LI, "ranef.random_effects_gls(...), or ranef.lmer(...)"),
    **_all("corr_squared_between corr_squared_overall corr_squared_within", LI, "model.r2()"),
    **_all(
        "rsquared_between rsquared_inclusive rsquared_overall rsquared_within", LI, "model.r2()"
    ),
    **_all("cov", LI, "model.cov_params()"),
    **_all("std_errors", LI, "model.bse"),
    **_all("tstats", LI, "model.tvalues"),
    **_all("fitted_values", LI, "model.fittedvalues"),
    **_all("resids idiosyncratic", LI, "model.resid"),
    **_all("wresids", LI, 'model.residuals("pearson")'),
    **_all("loglik", LI, "model.llf"),
    **_all("s2", LI, "model.sigma ** 2"),
    **_all("model_ss resid_ss total_ss", LI, "model.anova(), and (model.resid ** 2).sum()"),
    **_all("estimated_effects variance_decomposition", LI, ABSORBED),
    **_all("entity_effects time_effects other_effects included_effects", LI, INCLUDED),
    **_all("entity_info time_info other_info", LI, "model.ngroups"),
    **_all("f_statistic f_statistic_robust", LI, "model.test(...) of all coefficients"),
    **_all("f_pooled", LI, "model.f_test_effects() of models of ranef.feols"),
    **_all("hausman", LI, "ranef.fixed_or_random(formula, data, group)"),
    **_all("has_constant name not_null", LI, "model.design.names"),
    **_all(
        "corAR1 corARMA corCAR1 corCompSymm corSymm corMatrix corFactor corIdent corNatural",
        NL,
        STRUCTURE,
    ),
    **_all("varComb varConstPower varConstProp varExp varFixed varFunc varIdent", NL, STRUCTURE),
    **_all("varPower varWeights glsEstimate glsStruct reStruct lmeStruct", NL, STRUCTURE),
    **_all(
        "corExp corGaus corLin corRatio corSpatial corSpher",
        NL,
        "exponential(0 + x + y | g) or matern(...) in the formula of ranef.lmer",
    ),
    **_all("pdBlocked pdCompSymm pdDiag pdIdent pdLogChol pdMat pdNatural pdSymm", NL, COVARIANCES),
    **_all("pdConstruct pdFactor pdMatrix", NL, "model.varcorr, and model.theta for its factor"),
    **_all("ACF Variogram", NL, f"{RESIDUALS}.autocorrelation()"),
    **_all("intervals", NL, "model.conf_int()"),
    **_all("getVarCov", NL, "model.varcorr, and model.cov_params() of the coefficients"),
    **_all("getGroups getGroupsFormula Names Dim Initialize isInitialized", NL, "model.design"),
    **_all("getResponse", NL, "model.design.y"),
    **_all("getCovariate getCovariateFormula covariate", NL, "model.design.X"),
    **_all("getResponseFormula splitFormula asOneFormula", NL, "model.call.formula"),
    **_all("allCoef compareFits comparePred", NL, "ranef.compare(...)"),
    **_all("augPred", NL, 'model.plot.predictions("x", by="g")'),
    **_all("anova_lme", NL, "ranef.anova(small, large)"),
    **_all("fixed_effects", NL, "model.params"),
    **_all("glsControl lmeControl glsApVar fdHess needUpdate recalc", NL, SEARCH),
    **_all("lme_formula lme_lmList", NL, "ranef.lmer(formula, data)"),
    **_all("lmList_formula pooledSD", NL, "ranef.lmlist(...)"),
    **_all("logDet", NL, "model.llf"),
    **_all("plot_lme", NL, "model.plot.residuals()"),
    **_all("simulate_lme", NL, "model.simulate()"),
    **_all("balancedGrouped groupedData gsummary gapply collapse asTable", NL, "a pandas frame"),
    **_all("isBalanced", NL, "ranef.diagnose(formula, data), which says how levels are filled"),
    **_all("SATmodcomp getSAT", PB, 'model.test(..., ddf="satterthwaite")'),
    **_all("getKR ddf_Lb Lb_ddf get_Lb_ddf", PB, 'model.test(..., ddf="kenward-roger")'),
    **_all("vcovAdj vcovAdj_lmerMod get_SigmaG", PB, KENWARD),
    **_all("PBrefdist getLRT", PB, "ranef.pbtest(large, small)"),
    **_all("make_model_matrix compare_column_space", PB, "model.design.X"),
    **_all(
        """make_restriction_matrix model2restriction_matrix restriction_matrix2model""",
        PB,
        "model.test(L), which takes a matrix",
    ),
    **_all("WLS wls", SM, "ranef.feols(..., weights=...)"),
    **_all("GLSAR", SM, 'ranef.gls(..., corr="ar1")'),
    **_all(
        "GLM Logit logit Poisson poisson NegativeBinomial",
        SM,
        "ranef.glmer, ranef.feglm or ranef.gee",
    ),
    **_all("OrdinalGEE NominalGEE ordinal_gee nominal_gee", SM, "ranef.clmm(...)"),
    **_all(
        "BinomialBayesMixedGLM PoissonBayesMixedGLM",
        SM,
        "ranef.glmer(...), and model.sample() for its posterior",
    ),
    **_all("copy", SM, "model itself: nothing changes a model, so none needs a copy"),
    **_all("from_components from_packed get_packed", SM, "model.theta and model.params"),
    **_all("ctol params_niter first_dep_update score_norm", SM, SEARCH),
    **_all("bonferroni", PF, 'ranef.emmeans(...).pairs(adjust="bonferroni")'),
    **_all("dtable", PF, "data.describe(), or a table of models: maketables.ETable([model])"),
    **_all("qplot", PF, "model.plot.coefficients()"),
    **_all("ssc get_ssc", PF, "the argument ssc= of ranef.feols"),
    **_all("SaturatedEventStudy", PF, "ranef.feols(formula, data, absorb=...), periods in it"),
    **_all("BaseDemeaner LsmrDemeaner MapDemeaner Preconditioner", PF, INCLUDED),
}

#: Words without a counterpart, by package.
UNPACKAGED: dict[str, str] = {
    P: """as_dag item_alpha item_intercor item_omega item_reliability item_split_half
        item_totalcor""",
    D: """checkSimulations ecdf ensureDHARMa ensurePredictor testPhylogeneticAutocorrelation""",
    PA: """closest_component cluster_analysis cluster_discrimination convert_efa_to_cfa
        data_partition describe_distribution efa_to_cfa factor_analysis format_order get_scores
        kurtosis n_components n_factors p_calibrate principal_components reduce_data
        reshape_loadings rotated_data skewness smoothness standardize_names""",
    PY: """feature_names_ get_params model_ model_class model_terms_ n_features_in_ ratio
        set_params sig_type term_ffx_ term_response_ term_rfx_""",
    LI: """FamaMacBeth FirstDifferenceOLS IV2SLS IV3SLS IVGMM IVGMMCUE IVJIVE IVLIML
        IVSystemGMM LinearFactorModel LinearFactorModelGMM SUR TradedFactorModel asset_pricing iv
        panel system pesaran_cd reformat_clusters""",
    NL: """LDEsysMat gnls gnlsControl gnlsStruct matrix nfGroupedData nlmeControl nlmeStruct
        nlme_formula nlme_nlsList nlsList nlsList_formula nmGroupedData phenoModel quinModel""",
    PF: """get_bartik_data get_data get_encouragement_data get_ivf_data
        get_motherhood_event_study_data get_twin_data get_worker_panel wyoung""",
}

RANDOM = 'random="none" leaves the random effects out, random="all" takes them'
EFFECTS = 'absorb names the effects: absorb=["firm", "year"]'
SHOWN = "tables are frames: take .round(2)"
LOGS = "exponentials are np.exp(model.params), with np.exp(model.conf_int()) as limits"

#: Arguments; see ``KEYWORDS``.
ARGUMENTS: dict[str, tuple[tuple[str, str], ...]] = {
    "by_group": (
        ("icc", "model.icc().by_group has the share of each grouping factor"),
        ("r2", "model.variance_decomposition() has the share of each grouping factor"),
        ("simulated_residuals", "model.simulated_residuals().by_group() tests each group"),
    ),
    "ci": (("level", "write level=0.95 for ci=0.95"),),
    "ci_method": (("interval", 'write interval="boot"'), ("ddf", "write ddf=")),
    "conf_method": (("method", "write method="), ("ddf", "write ddf=")),
    "nboot": (("n", "write n="), ("", "model.bootstrap(n) draws n replicates")),
    "iterations": (("n", "write n="),),
    "simulations": (("n", "write n="),),
    "random_state": (("seed", "write seed="),),
    "rng": (("seed", "write seed="),),
    "ncores": (("workers", "write workers="), ("threads", "write threads=")),
    "k": (("folds", "write folds="),),
    "n_splits": (("folds", "write folds="),),
    "n_folds": (("folds", "write folds="),),
    "clusters": (("cluster", "write cluster="),),
    "cluster_entity": (("cluster", "write cluster="),),
    "cluster_time": (("cluster", "write cluster="),),
    "entity_effects": (("absorb", EFFECTS),),
    "time_effects": (("absorb", EFFECTS),),
    "other_effects": (("absorb", EFFECTS),),
    "drop_absorbed": (("absorb", "columns that are absorbed are dropped and named in a warning"),),
    "debiased": (("ssc", "write ssc="),),
    "small_sample": (("ssc", "write ssc="),),
    "use_rfx": (("random", RANDOM),),
    "type_predict": (("kind", "write kind="),),
    "p_adjust": (("adjust", "write adjust="), ("", 'ranef.emmeans(...).pairs(adjust="holm")')),
    "marginal_var": (("specs", "write specs="),),
    "exponentiate": (("", LOGS),),
    "standardize": (("formula", "standardise columns before the fit: (x - x.mean()) / x.std()"),),
    "digits": (("", SHOWN),),
    "decimals": (("", SHOWN),),
    "postVar": (("", "variances are always there: model.ranef().cov"),),
    "title": (("", "a plot returns its axes: axes.set_title(...)"),),
    "keep": (("", "take rows of the table: table.loc[names]"),),
    "drop": (("", "take rows of the table: table.drop(index=names)"),),
    "split": (("formula", 'fit each group: ranef.fit_groups(formula, data, by="g")'),),
    "fsplit": (("formula", 'fit each group: ranef.fit_groups(formula, data, by="g")'),),
    "regrid": (("type", 'write type="response"'),),
    "ratios": (("type", 'type="response" makes ratios of a model of logarithms'),),
    "endog_name": (("formula", "write formulas: the columns of the data by name"),),
    "dependent": (("formula", "write formulas: the columns of the data by name"),),
    "depvar": (("formula", "write formulas: the columns of the data by name"),),
    "sigma": (("emmeans", "the residual standard deviation is the model's own"),),
    "low_memory": (("absorb", "memory is a small multiple of the data; rows may be in files"),),
    "model_class": (("formula", "ranef.lmer, ranef.glmer and ranef.feols are the classes"),),
}
