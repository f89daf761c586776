# Pooled results of tests/data/imputed_schools.csv by mice and mitml; writes expected/pooling.json.
#
#     Rscript pooling.R
#
# R 4.2.2, lme4 1.1-31, mice 3.15.0, mitml 0.4-4. Fits are pushed to their optima, and what the
# pooling begins from is kept beside what it gives: estimates and covariances of each imputation,
# log-likelihoods, means over imputations of the parameters of the fits by maximum likelihood.
suppressMessages({library(lme4); library(mice); library(mitml)})
control <- lmerControl(
  optimizer = "nloptwrap", check.conv.grad = "ignore",
  optCtrl = list(ftol_abs = 1e-15, ftol_rel = 1e-15, xtol_abs = 1e-13, xtol_rel = 1e-13,
                 maxeval = 5000))
data <- read.csv("../data/imputed_schools.csv")
parts <- split(data, data$imp)
fits <- function(formula, reml)
  lapply(parts, function(p) do.call(lmer, list(formula, p, REML = reml, control = control)))
large <- y ~ x + z + arm + (1 | school)
small <- y ~ arm + (1 | school)
full <- fits(large, TRUE); less <- fits(small, TRUE)
full_ml <- fits(large, FALSE); less_ml <- fits(small, FALSE)
q <- t(sapply(full, fixef))
u <- lapply(full, function(m) unname(as.matrix(vcov(m))))
scalar <- function(j) {
  found <- pool.scalar(q[, j], sapply(u, function(v) v[j, j]), n = nrow(parts[[1]]), k = ncol(q))
  c(found$qbar, sqrt(found$t), found$df, found$r, found$fmi)
}
test <- function(a, b, method) unname(testModels(a, b, method = method)$test[1, ])
means <- function(ms) list(
  beta = unname(rowMeans(sapply(ms, fixef))),
  between = mean(sapply(ms, function(m) as.numeric(VarCorr(m)[[1]]))),
  within = mean(sapply(ms, sigma)^2))
result <- list(
  n = nrow(parts[[1]]), estimates = unname(q), covariances = unname(u),
  pooled = t(sapply(seq_len(ncol(q)), scalar)),  # estimate, se, df, riv, fmi
  D1 = test(full, less, "D1"), D2 = test(full, less, "D2"),  # F, df1, df2, p, riv
  D3 = test(full_ml, less_ml, "D3"),
  llf = list(large = unname(sapply(full_ml, function(m) -deviance(m) / 2)),
             small = unname(sapply(less_ml, function(m) -deviance(m) / 2))),
  means = list(large = means(full_ml), small = means(less_ml)))
writeLines(jsonlite::toJSON(result, digits = NA, auto_unbox = TRUE), "expected/pooling.json")
