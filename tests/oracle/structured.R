# Makes expected/structured.json: nlme and glmmTMB on data sets of R and on ranef's gpa_sim.
#
#   python -c "import ranef; ranef.datasets.load('gpa_sim').to_csv('gpa_sim.csv', index=False)"
#   Rscript structured.R gpa_sim.csv expected/structured.json
library(nlme)
library(jsonlite)
args <- commandArgs(TRUE)
gpa <- read.csv(args[1]); gpa$student <- factor(gpa$student)
gpa$fo <- factor(gpa$occasion); gpa$sex <- factor(gpa$sex)
gaps <- gpa[!((as.integer(gpa$student) + 3 * gpa$occasion) %% 7 == 0), ]
gaps$place <- gaps$occasion + 1
plain <- function(d) { class(d) <- "data.frame"; for (v in names(d)) if (is.ordered(d[[v]])) d[[v]] <- factor(as.character(d[[v]])); d }
ortho <- plain(Orthodont); spruce <- plain(Spruce); ovary <- plain(Ovary); rats <- plain(RatPupWeight)
body <- plain(BodyWeight); wafer <- plain(Wafer)
data(sleepstudy, package = "lme4")
tight <- glsControl(tolerance = 1e-12, msTol = 1e-12, msMaxIter = 1000, maxIter = 1000)
close <- lmeControl(tolerance = 1e-12, msTol = 1e-12, msMaxIter = 1000, maxIter = 1000, niterEM = 200)

table <- function(fit, reml) {
  n <- nrow(getGroupsFrame(fit)); p <- length(if (inherits(fit, "lme")) fixef(fit) else coef(fit))
  beta <- if (inherits(fit, "lme")) fixef(fit) else coef(fit)
  # nlme's gls enlarges the covariance by n / (n - p) under ML.
  shrink <- if (!reml && inherits(fit, "gls")) (n - p) / n else 1
  cs <- fit$modelStruct$corStruct; vf <- fit$modelStruct$varStruct
  out <- list(reml = reml, logLik = as.numeric(logLik(fit)), npar = attr(logLik(fit), "df"),
    fixef = as.list(beta), se = as.list(sqrt(shrink * diag(vcov(fit)))), sigma = fit$sigma,
    correlation = if (is.null(cs)) NULL else as.numeric(coef(cs, unconstrained = FALSE)),
    sd_by_level = if (inherits(vf, "varIdent")) as.list(fit$sigma * coef(vf, unconstrained = FALSE, allCoef = TRUE)) else NULL,
    log_sd_slope = if (inherits(vf, "varExp") || inherits(vf, "varPower")) as.numeric(coef(vf, unconstrained = FALSE)) else NULL,
    fitted = as.numeric(head(fitted(fit), 10)), normalized = as.numeric(head(resid(fit, type = "normalized"), 10)),
    normalized_ss = sum(resid(fit, type = "normalized")^2))
  if (inherits(fit, "lme")) {
    out$random_cov <- lapply(rev(lapply(fit$modelStruct$reStruct, as.matrix)), function(m) unname(m * fit$sigma^2))
    r <- ranef(fit, level = 1); out$ranef <- unname(as.matrix(head(r[order(rownames(r)), , drop = FALSE], 5)))
  }
  out
}
getGroupsFrame <- function(fit) as.matrix(resid(fit))
n_of <- function(fit) length(resid(fit))
both <- function(f) list(table(f("REML"), TRUE), table(f("ML"), FALSE))
case <- function(data, formula, f, ...) list(data = data, formula = formula, args = list(...), fits = both(f))

cases <- list(
  spruce_ar1 = case("nlme/Spruce", "logSize ~ days + plot", groups = "Tree", corr = "ar1", function(m)
    gls(logSize ~ days + plot, spruce, correlation = corAR1(form = ~1 | Tree), method = m, control = tight)),
  gpa_compsymm = case("gpa_sim", "gpa ~ occasion", groups = "student", corr = "exchangeable", function(m)
    gls(gpa ~ occasion, gpa, correlation = corCompSymm(form = ~1 | student), method = m, control = tight)),
  gpa_ar1_het = case("gpa_sim", "gpa ~ occasion + sex", groups = "student", time = "occasion", corr = "ar1", variance = "occasion", function(m)
    gls(gpa ~ occasion + sex, gpa, correlation = corAR1(form = ~occasion | student), weights = varIdent(form = ~1 | occasion), method = m, control = tight)),
  gaps_ar1 = case("gaps", "gpa ~ occasion", groups = "student", time = "occasion", corr = "ar1", function(m)
    gls(gpa ~ occasion, gaps, correlation = corAR1(form = ~occasion | student), method = m, control = tight)),
  gaps_unstructured = case("gaps", "gpa ~ occasion * sex", groups = "student", time = "occasion", corr = "unstructured", variance = "occasion", function(m)
    gls(gpa ~ occasion * sex, gaps, correlation = corSymm(form = ~place | student), weights = varIdent(form = ~1 | occasion), method = m, control = tight)),
  orthodont_unstructured = case("nlme/Orthodont", "distance ~ age * Sex", groups = "Subject", time = "age", corr = "unstructured", variance = "age", function(m)
    gls(distance ~ age * Sex, ortho, correlation = corSymm(form = ~1 | Subject), weights = varIdent(form = ~1 | age), method = m, control = tight)),
  orthodont_symm_equal = case("nlme/Orthodont", "distance ~ age * Sex", groups = "Subject", time = "age", corr = "unstructured", function(m)
    gls(distance ~ age * Sex, ortho, correlation = corSymm(form = ~1 | Subject), method = m, control = tight)),
  body_car1 = case("nlme/BodyWeight", "weight ~ Time * Diet", groups = "Rat", time = "Time", corr = "car1", function(m)
    gls(weight ~ Time * Diet, body, correlation = corCAR1(form = ~Time | Rat), method = m, control = tight)),
  body_power = case("nlme/BodyWeight", "weight ~ Time * Diet + (1 | Rat)", groups = "Rat", variance = "~ np.log(Time)", function(m)
    lme(weight ~ Time * Diet, body, random = ~1 | Rat, weights = varPower(form = ~Time), method = m, control = close)),
  sleep_exponential = case("lme4/sleepstudy", "Reaction ~ Days", groups = "Subject", time = "Days", corr = "ar1", variance = "~ Days", function(m)
    gls(Reaction ~ Days, sleepstudy, correlation = corAR1(form = ~Days | Subject), weights = varExp(form = ~Days), method = m, control = tight)),
  gpa_intercept_ar1 = case("gpa_sim", "gpa ~ occasion + (1 | student)", groups = "student", time = "occasion", corr = "ar1", function(m)
    lme(gpa ~ occasion, gpa, random = ~1 | student, correlation = corAR1(form = ~occasion | student), method = m, control = close)),
  gpa_slope_varident = case("gpa_sim", "gpa ~ occasion + (1 + occasion | student)", groups = "student", variance = "occasion", function(m)
    lme(gpa ~ occasion, gpa, random = ~1 + occasion | student, weights = varIdent(form = ~1 | occasion), method = m, control = close)),
  orthodont_varident_sex = case("nlme/Orthodont", "distance ~ age + Sex + (1 | Subject)", groups = "Subject", variance = "Sex", function(m)
    lme(distance ~ age + Sex, ortho, random = ~1 | Subject, weights = varIdent(form = ~1 | Sex), method = m, control = close)),
  ovary_ar1 = case("nlme/Ovary", "follicles ~ np.sin(2 * np.pi * Time) + np.cos(2 * np.pi * Time) + (1 | Mare)", groups = "Mare", corr = "ar1", function(m)
    lme(follicles ~ sin(2 * pi * Time) + cos(2 * pi * Time), ovary, random = ~1 | Mare, correlation = corAR1(form = ~1 | Mare), method = m, control = close)),
  ratpup_varident = case("nlme/RatPupWeight", "weight ~ sex + Treatment + Lsize + (1 | Litter)", groups = "Litter", variance = "Treatment", function(m)
    lme(weight ~ sex + Treatment + Lsize, rats, random = ~1 | Litter, weights = varIdent(form = ~1 | Treatment), method = m, control = close)),
  sleep_car1 = case("lme4/sleepstudy", "Reaction ~ Days + (1 | Subject)", groups = "Subject", time = "Days", corr = "car1", function(m)
    lme(Reaction ~ Days, sleepstudy, random = ~1 | Subject, correlation = corCAR1(form = ~Days | Subject), method = m, control = close)),
  wafer_nested = case("nlme/Wafer", "current ~ voltage + I(voltage**2) + (1 + voltage || Wafer) + (0 + voltage || Wafer:Site)", groups = "Wafer", function(m)
    lme(current ~ voltage + I(voltage^2), wafer, random = list(Wafer = pdDiag(~voltage), Site = pdDiag(~voltage - 1)), method = m, control = close)))

library(glmmTMB)
tmb <- function(data, formula, f, ...) {
  fits <- lapply(c(TRUE, FALSE), function(reml) {
    fit <- f(reml)
    list(reml = reml, logLik = as.numeric(logLik(fit)), npar = attr(logLik(fit), "df"), fixef = as.list(fixef(fit)$cond),
         sd = unname(attr(VarCorr(fit)$cond[[1]], "stddev")), corr = unname(attr(VarCorr(fit)$cond[[1]], "correlation")[1, -1]))
  })
  list(data = data, formula = formula, args = list(...), fits = fits)
}
cases$gpa_toeplitz_het <- tmb("gpa_sim", "gpa ~ occasion", groups = "student", time = "occasion", corr = "toeplitz", variance = "occasion", function(reml)
  glmmTMB(gpa ~ occasion + toep(fo + 0 | student), gpa, dispformula = ~0, REML = reml))
cases$gpa_compsymm_het <- tmb("gpa_sim", "gpa ~ occasion", groups = "student", time = "occasion", corr = "exchangeable", variance = "occasion", function(reml)
  glmmTMB(gpa ~ occasion + cs(fo + 0 | student), gpa, dispformula = ~0, REML = reml))
cases$gpa_ar1_nugget <- tmb("gpa_sim", "gpa ~ occasion + (1 | student:occasion)", groups = "student", time = "occasion", corr = "ar1", function(reml)
  glmmTMB(gpa ~ occasion + ar1(fo + 0 | student), gpa, REML = reml))

writeLines(toJSON(list(
  origin = paste0("R ", getRversion(), ", nlme ", packageVersion("nlme"), ", glmmTMB ", packageVersion("glmmTMB"), "; tests/oracle/structured.R"),
  cases = cases), auto_unbox = TRUE, digits = 15, null = "null", pretty = 1), args[2])
