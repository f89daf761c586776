# Makes expected/growth.json: lavaan's growth() on ranef's gpa_sim and on data sets of R.
#
#   Rscript growth.R gpa_sim.csv expected/growth.json
suppressMessages({library(lavaan); library(nlme); library(jsonlite)})
args <- commandArgs(TRUE)
wide <- function(d, id, time, y, keep = NULL) {
  w <- reshape(d[, c(id, time, y, keep)], idvar = id, timevar = time, v.names = y, direction = "wide", sep = "_")
  names(w) <- sub(paste0("^", y, "_"), "t", names(w)); w
}
gpa <- read.csv(args[1]); gpa$female <- as.numeric(gpa$sex == "female")
gpa <- gpa[order(gpa$student, gpa$occasion), ]
gw <- wide(gpa, "student", "occasion", "gpa", c("female", "highgpa"))
gaps <- gpa[!((gpa$student + 3 * gpa$occasion) %% 7 == 0), ]; mw <- wide(gaps, "student", "occasion", "gpa", "female")
mw <- mw[, c("student", "female", paste0("t", 0:5))]
o <- as.data.frame(Orthodont); o$Subject <- as.character(o$Subject); o$female <- as.numeric(o$Sex == "Female"); ow <- wide(o, "Subject", "age", "distance", "female")
data(sleepstudy, package = "lme4"); sw <- wide(sleepstudy, "Subject", "Days", "Reaction")

syntax <- function(times, shape = 2, varying = shape, free = FALSE, x = NULL) {
  v <- paste0("t", times); f <- c("i", "s", "q")[1:shape]
  out <- sapply(1:shape, function(k) paste(f[k], "=~", paste0(times^(k - 1), "*", v, collapse = " + ")))
  if (!free) out <- c(out, paste0(v, " ~~ rv*", v))
  if (varying < shape) for (k in (varying + 1):shape) out <- c(out, paste0(f[k], " ~~ 0*", f[1:k]))
  if (!is.null(x)) out <- c(out, paste(f, "~", paste(x, collapse = " + ")))
  paste(out, collapse = "\n")
}
run <- function(data, args, w, ..., missing = "listwise") {
  fitted <- function(...) growth(..., missing = missing, em.h1.iter.max = 20000, em.h1.tol = 1e-13)
  fit <- suppressWarnings(fitted(syntax(...), w, control = list(rel.tol = 1e-14, iter.max = 10000)))
  for (tol in c(1e-11, 1e-10)) if (!lavInspect(fit, "converged")) fit <- suppressWarnings(fitted(syntax(...), w, control = list(rel.tol = tol)))
  if (!lavInspect(fit, "converged")) { message("no fit: ", data, " ", toJSON(args)); return(NULL) }
  m <- fitMeasures(fit, c("logl", "npar", "chisq", "df", "pvalue", "cfi", "tli", "rmsea", "rmsea.ci.lower", "rmsea.ci.upper", "srmr", "aic", "bic", "unrestricted.logl", "baseline.chisq", "baseline.df"))
  p <- parameterEstimates(fit); p <- p[p$se > 0, c("lhs", "op", "rhs", "est", "se")]
  s <- lavPredict(fit); list(data = data, args = args, measures = as.list(m), parameters = p, scores = unname(head(s, 5)))
}
cases <- list(
  gpa_equal = run("gpa_sim", list(), gw, 0:5),
  gpa_free = run("gpa_sim", list(residuals = "free"), gw, 0:5, free = TRUE),
  gpa_female = run("gpa_sim", list(covariates = I("female")), gw, 0:5, x = "female"),
  gpa_two = run("gpa_sim", list(covariates = c("female", "highgpa"), residuals = "free"), gw, 0:5, free = TRUE, x = c("female", "highgpa")),
  gpa_intercept = run("gpa_sim", list(random = "intercept"), gw, 0:5, varying = 1),
  gpa_quadratic_mean = run("gpa_sim", list(shape = "quadratic", random = "linear"), gw, 0:5, shape = 3, varying = 2),
  gpa_fiml = run("gaps", list(), mw, 0:5, missing = "fiml"),
  gpa_fiml_free = run("gaps", list(residuals = "free"), mw, 0:5, free = TRUE, missing = "fiml"),
  orthodont = run("nlme/Orthodont", list(), ow, c(8, 10, 12, 14)),
  orthodont_female = run("nlme/Orthodont", list(covariates = I("female")), ow, c(8, 10, 12, 14), x = "female"),
  sleepstudy = run("lme4/sleepstudy", list(), sw, 0:9),
  sleepstudy_quadratic = run("lme4/sleepstudy", list(shape = "quadratic"), sw, 0:9, shape = 3))
cases <- Filter(Negate(is.null), cases)
writeLines(toJSON(list(origin = paste0("R ", getRversion(), ", lavaan ", packageVersion("lavaan"), "; tests/oracle/growth.R"), cases = cases),
  auto_unbox = TRUE, digits = 15, null = "null", dataframe = "rows", pretty = 1), args[2])
