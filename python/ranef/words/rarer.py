"""Rarer words of lme4, emmeans, statsmodels and pyfixest, and those without a counterpart."""

from __future__ import annotations

from .checks import CHECKS, UNCHECKED
from .packages import PACKAGED, UNPACKAGED

__all__ = ["MEANS", "RARER", "RARER_OF_MODULES", "SUMMARY", "WITHOUT"]

SM, BOTH, PF, LM = "statsmodels", "lme4 and statsmodels", "pyfixest", "lme4"
ROBUST = 'model.robust("HC3") or model.robust("CR2", cluster="g")'
GRADIENT = "model.convergence, with the gradient and the curvature"
SUMS = "sums of squares of terms are in model.anova(), residuals in model.resid"
COMPARED = "ranef.anova(small, large)"
OTHERS = "model.simulated_residuals()"
ALONE = "models are fitted one by one, or many together by ranef.fit_many(...)"


def _all(words: str, whose: str, cure: str) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(words.split(), (whose, cure))


#: Attributes and methods of a model.
RARER: dict[str, tuple[str, str]] = {
    **PACKAGED,
    **CHECKS,
    **_all("cov_naive cov_robust cov_robust_bc naive_covariance robust_covariance", SM, ROBUST),
    **_all("robust_covariance_bc", SM, ROBUST),
    **_all("mle_retvals mle_settings hist method", SM, "model.convergence"),
    **_all("prsquared", SM, "model.r2()"),
    **_all("llr llr_pvalue", SM, COMPARED),
    **_all("get_nobs", PF, "model.nobs"),
    **_all("get_performance", PF, "model.glance()"),
    **_all("get_inference", PF, "model.coef_table()"),
    **_all("fixef_", PF, "model.effects() of models of ranef.feols"),
    **_all("alpha", PF, "the argument level= of model.conf_int"),
    **_all("get_model", "lmerTest", "model itself"),
    **_all("show_tests", "lmerTest", "model.anova()"),
    **_all("lstrends", "emmeans", "ranef.emtrends(model, ...)"),
    **_all("emm lsm", "emmeans", "ranef.emmeans(model, ...)"),
    **_all("logProf", LM, "model.profile()"),
    **_all("rePos mkVarCorr", LM, "model.varcorr"),
    **_all("HC0_se HC1_se HC2_se HC3_se cov_HC0 cov_HC1 cov_HC2 cov_HC3", SM, ROBUST),
    **_all("get_robustcov_results cov_type cov_kwds standard_errors", SM, ROBUST),
    **_all("score score_full score_obs score_obsv score_sqrt score_factor", SM, GRADIENT),
    **_all("hessian hessian_factor hessv information", SM, GRADIENT),
    **_all("centered_tss uncentered_tss ess mse_model mse_total", SM, SUMS),
    **_all("compare_lr_test compare_f_test compare_lm_test", SM, COMPARED),
    **_all("compare_score_test score_test score_test_results", SM, "model.test(...)"),
    **_all("fvalue f_pvalue", SM, "model.anova(), or model.test(...) of all coefficients"),
    **_all("rsquared_adj pseudo_rsquared", SM, "model.r2()"),
    **_all(
        "condition_number eigenvals", SM, "ranef.diagnose(model), which finds collinear columns"
    ),
    **_all("group_labels group_list n_groups num_group", SM, "model.ngroups, and model.ranef()"),
    **_all("k_fe k_params k_re k_re2 k_vc df_modelwc", SM, "model.npar, and len(model.params)"),
    **_all("n_totobs wnobs", SM, "model.nobs"),
    **_all("exog_re exog_re_li exog_re2_li exog_vc", SM, "model.design.Z"),
    **_all("endog_li", SM, "model.design.y"),
    **_all("exog_li", SM, "model.design.X"),
    **_all("weights freq_weights var_weights iweights", BOTH, "model.design.weights"),
    **_all("get_scale estimate_scale scaletype ddof_scale", SM, "model.sigma ** 2"),
    **_all("loglike llf_scaled", SM, "model.llf"),
    **_all("bic_llf bic_deviance", SM, "model.bic"),
    **_all("llnull null null_deviance", SM, "-2 * model.llf of the smaller model"),
    **_all("mu", SM, "model.fittedvalues"),
    **_all("pearson_chi2", SM, "model.simulated_residuals().dispersion()"),
    **_all("outlier_test", SM, "model.simulated_residuals().outliers()"),
    **_all("wresid centered_resid resid_centered", SM, 'model.residuals("pearson")'),
    **_all("resid_deviance resid_working", SM, "model.residuals(kind)"),
    **_all("resid_anscombe resid_split", SM, "model.residuals(kind)"),
    **_all("resid_anscombe_scaled resid_anscombe_unscaled", SM, "model.residuals(kind)"),
    **_all("plot_added_variable plot_partial_residuals", SM, 'model.plot.predictions("x")'),
    **_all("plot_ceres_residuals", SM, 'model.plot.predictions("x")'),
    **_all("get_margeff", SM, "ranef.for_marginaleffects(model)"),
    **_all("get_hat_matrix_diag", SM, "model.influence()"),
    **_all("get_distribution", SM, "model.simulate()"),
    **_all("t_test_pairwise", SM, "ranef.emmeans(model, ...).pairs()"),
    **_all("use_t", SM, "model.coef_table(ddf=...)"),
    **_all("model", SM, "model.call and model.design"),
    **_all("load", SM, "pickle a model: pickle.load(file) reads it"),
    **_all("from_formula", SM, "ranef.lmer(formula, data), which takes a formula"),
    **_all("get_fe_params", SM, "model.params"),
    **_all("bootstrap_results", SM, "model.bootstrap()"),
    **_all("info_criteria", SM, "model.aic, model.bic and model.aicc"),
    **_all("ssr", SM, "(model.resid ** 2).sum()"),
    **_all("qic", SM, 'ranef.compare(a, b, by="qic") of models of ranef.gee'),
    **_all("cov_struct corr_struct", SM, "model.call.corr of models of ranef.gls and ranef.gee"),
    **_all("time missing n_trials", SM, "model.call, which has the arguments of the fit"),
    **_all("exposure_name offset_name", SM, "model.design.offset"),
    **_all("freq_weights_name var_weights_name", SM, "model.design.weights"),
    **_all(
        "fit_regularized fe_pen re_pen cov_pen",
        SM,
        'ranef.lmer(..., prior={"fixed": ranef.Normal(...)}), whose prior is the penalty',
    ),
    **_all("family", BOTH, "model.call.family of models of ranef.glmer and ranef.gee"),
    **_all("initialize fit_history", SM, "a model is fitted when it is made: ranef.lmer(...)"),
    **_all("get_fit", PF, "a model is fitted when it is made: ranef.feols(...)"),
    **_all("tol maxiter", PF, "ranef.Control(...), for the argument control="),
    **_all("fetch_model all_fitted_models to_array", PF, ALONE),
    **_all("na_index", PF, "model.warnings, which counts dropped rows"),
    **_all("drop_multicol_vars", PF, "model.warnings, which names aliased columns"),
    **_all("prepare_model_matrix", PF, "model.design.X"),
    **_all("iplot_aggregate plot_ritest", PF, "model.plot.coefficients()"),
    **_all("test_treatment_heterogeneity", PF, "model.test(...)"),
    **_all("ritest", PF, "model.bootstrap(), or model.wild_bootstrap(term) after ranef.feols"),
    **_all("getData", LM, "model.augment(), or the frame that you gave"),
    **_all("getL", LM, "model.test(L), which takes a matrix"),
    **_all("isLMM isGLMM isNLMM", LM, "isinstance(model, ranef.LinearMixedModel)"),
    **_all("as_function", LM, "model.surface()"),
    **_all("extractAIC", LM, "model.aic"),
    **_all("print show", LM, "print(model.summary())"),
    **_all("emm_basis recover_data", "emmeans", "ranef.emmeans(model, ...)"),
    **_all("lsmeansLT", "lmerTest", "ranef.emmeans(model, ...)"),
    **_all("step", "lmerTest", "ranef.step(model)"),
    **_all("dotplot qqmath", LM, "model.plot.caterpillar()"),
    **_all("qqnorm qqline qqPlot", "R", "model.plot.residuals(), with normal quantiles"),
    **_all("vif VIF", "car", "ranef.diagnose(model), which finds collinear predictors"),
    **_all("Anova", "car", "model.anova(type=2)"),
    **_all(
        "odds_ratios odds_ratio exponentiate",
        "other packages",
        "np.exp(model.params), with np.exp(model.conf_int()) as limits",
    ),
    **_all(
        "ggsave", "ggplot2", 'axes.figure.savefig("figure.png", dpi=300) of what a plot returns'
    ),
    **_all("mse rmse mae", "scikit-learn", "ranef.cross_validate(model), or model.sigma"),
    **_all("feature_importances_ coef_ intercept_", "scikit-learn", "model.params"),
    **_all("predict_proba", "scikit-learn", "model.predict(new) of models of ranef.glmer"),
}

SEARCH = "ranef.Control(...), and ranef.all_fit(model) for other optimisers"
DESIGN = "model.design, with X, Z, y and names"
GRID = 'ranef.emmeans(model, specs, at={"x": [0, 1]})'
SIZES = 'ranef.emmeans(model, specs).pairs().frame["estimate"] / model.sigma'
BACK = 'ranef.emmeans(model, specs, type="response")'
DRAWN = 'ranef.emmeans(model, "~ a * b").plot()'
COLUMN = "make a column of the data that joins or divides the levels, and use it in the formula"
DRAWS = "model.sample().derive(...)"
COLLECTED = 'ranef.emmeans(model, specs).pairs(adjust="mvt")'

#: Functions of a module.
RARER_OF_MODULES: dict[str, tuple[str, str]] = {
    **_all("NelderMead Nelder_Mead nlminbwrap nloptwrap golden", LM, SEARCH),
    **_all("optimizeLmer optimizeGlmer", LM, SEARCH),
    **_all("lFormula glFormula findbars nobars subbars expandDoubleVerts", LM, DESIGN),
    **_all("mkReTrms mkNewReTrms mkDataTemplate mkParsTemplate mkRespMod mkMerMod", LM, DESIGN),
    **_all("merPredD factorize", LM, DESIGN),
    **_all("mkLmerDevfun mkGlmerDevfun updateGlmerDevfun devfun2", LM, "model.surface()"),
    **_all("GQN GQdk glmerLaplaceHandle", LM, "ranef.glmer(..., nagq=9)"),
    **_all("cov2sdcor sdcor2cov formatVC", LM, "model.varcorr"),
    **_all("Cv_to_Sv Cv_to_Vv Sv_to_Cv Vv_to_Cv", LM, "model.theta and model.varcorr"),
    **_all("varianceProf", LM, "model.profile()"),
    **_all("devcomp llikAIC", LM, "model.llf, model.aic and model.bic"),
    **_all("checkConv", LM, "model.convergence"),
    **_all("dotplot dotplot_ranef_mer", LM, "model.plot.caterpillar()"),
    **_all("fortify fortify_merMod", LM, "model.augment()"),
    **_all("confint_merMod", LM, "model.conf_int()"),
    **_all("vcov_merMod", LM, "model.cov_params()"),
    **_all("isNested", LM, "ranef.diagnose(formula, data), which says how factors are nested"),
    **_all("glmFamily negative_binomial", LM, 'ranef.glmer(..., family="negative_binomial")'),
    **_all("nlsResp", LM, "a curve of known shape: write it as a spline in ranef.lmer"),
    **_all("calcSatterth as_lmerModLmerTest", "lmerTest", "model.coef_table()"),
    **_all("ref_grid qdrg emmobj lsmobj as_emmGrid as_emm_list", "emmeans", GRID),
    **_all("regrid make_tran", "emmeans", BACK),
    **_all("emmip_ggplot emmip_lattice lsmip", "emmeans", DRAWN),
    **_all("add_grouping comb_facs split_fac permute_levels force_regular", "emmeans", COLUMN),
    **_all("as_glht mvcontrast", "emmeans", COLLECTED),
    **_all("pwpp pwpm", "emmeans", "ranef.emmeans(model, specs).pairs()"),
    **_all("cld CLD", "multcomp", "ranef.emmeans(model, specs).letters()"),
    **_all("eff_size", "emmeans", SIZES),
    **_all("glmer_nb", LM, 'ranef.glmer(..., family="negative_binomial")'),
    **_all("dummy", LM, "a column of the data: data['f'] == 'a'"),
    **_all("as_mcmc_emm_list as_mcmc_list_emm_list as_mcmc_list_emmGrid", "emmeans", DRAWS),
    **_all("as_mcmc as_mcmc_emmGrid hpd_summary", "emmeans", DRAWS),
    **_all("anova_lm", SM, "ranef.anova(small, large), or model.anova()"),
    **_all("event_study", PF, "ranef.feols(formula, data, absorb=...), with the periods in it"),
}

FRAME = "write means.frame"
LIMITS = "take the columns lower and upper of means.frame; level= is an argument of the call"

WORD = "write means.to_html(), which Word opens"

#: Words for a table of marginal means or contrasts.
MEANS: dict[str, str] = {
    "as_data_frame": FRAME,
    "as_list": FRAME,
    "data": FRAME,
    "to_pandas": FRAME,
    "coef": "take the column of estimates of means.frame",
    "predict": "take the column of estimates of means.frame",
    "confint": LIMITS,
    "conf_int": LIMITS,
    "summary": "write means.frame, or print(means)",
    "print": "write print(means)",
    "show": "write print(means)",
    "str": "write print(means)",
    "head": "write means.frame.head()",
    "tail": "write means.frame.tail()",
    "subset": "write means.frame.query(...)",
    "rbind": "write pd.concat([a.frame, b.frame])",
    "table": FRAME,
    "test": 'write means.pairs().frame, or means.contrast({"name": weights}).frame, with p-values',
    "update": "call ranef.emmeans again with the other arguments",
    "regrid": 'call ranef.emmeans with type="response"',
    "vcov": "write model.cov_params(), which the means are linear functions of",
    "as_glht": 'write means.pairs(adjust="mvt")',
    "cld": "write means.letters()",
    "emmip": "write means.plot()",
    "pwpp": "write means.pairs().plot()",
    "pwpm": "write means.pairs().frame",
    "joint_tests": "write ranef.joint_tests(model)",
    "mvcontrast": 'write means.pairs(adjust="mvt")',
    "eff_size": 'write means.pairs().frame["estimate"] / model.sigma',
    **dict.fromkeys(("to_csv", "to_excel", "to_parquet", "to_dict"), FRAME),
    **dict.fromkeys(("to_word", "to_docx", "save"), WORD),
}

TABLE = "write maketables.ETable([model])"
NUMBERS = "write model.coef_table() and model.varcorr, which have the numbers"

#: Words of summaries elsewhere.
SUMMARY: dict[str, str] = {
    "as_latex": f'{TABLE}.make("tex")',
    "to_latex": f'{TABLE}.make("tex")',
    "as_html": f'{TABLE}.make("html"), or show it in a notebook',
    "to_html": f'{TABLE}.make("html"), or show it in a notebook',
    "as_text": "write str(summary)",
    "as_csv": NUMBERS,
    "coef": NUMBERS,
    "tables": NUMBERS,
    **dict.fromkeys(("to_csv", "to_excel", "to_frame", "to_pandas"), NUMBERS),
    "to_markdown": "write model.coef_table().to_markdown()",
    **dict.fromkeys(("to_word", "to_docx", "save"), f'{TABLE}.save("docx", "./table.docx")'),
}

#: Words without a counterpart here, by package.
WITHOUT: dict[str, str] = {
    word: whose
    for whose, words in (
        *UNPACKAGED.items(),
        *{
            SM: """bsejac bsejhj covjac covjhj get_nlfun k_constant remove_data row_indices use_sqrt
            conf_int_el diagn el_test het_scale cached_means cluster_list constraint
            cov_params_default dep_data group_indices mean_deriv mean_deriv_exog offset_li
            pinv_wexog freepat model_constraints
            params_sensitivity plot_isotropic_dependence resid_centered_split scaling_factor
            sensitivity_params split_centered_resid split_resid time_li update_cached_means
            update_dep weights_li estimate_tweedie_power fit_constrained loglike_mu""",
            PF: """FixestFormula FixestFormulaDict GelbachDecompositionResults IV_Diag
            IV_weakness_test add_fixest_multi_context aggregate ccv decompose eff_F first_stage
            n_separation_na preconditioner residualize separation_check wls_transform did2s lpdid
            quantreg rwolf panelview solve_ols clear_attributes""",
            LM: """mkReTrmsList lme4_testlevel lmResp glmResp lmerResp GHrule methTitle mlist2vec
            vec2mlist vec2STlist nlmerControl nlformula simulate_formula""",
            **UNCHECKED,
            "emmeans": """emm_example emm_defaults inverse get_emm_option emm_options lsm_options
            get_lsm_option meanint symmint""",
        }.items(),
    )
    for word in words.split()
}
