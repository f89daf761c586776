# Poisson regression with an indicator for each herd (stats), and exact conditional logistic regression (survival):
# makes expected/feglm.json, with R's data set infert (Trichopoulos and others, 1976) in it.
#
#   python -c "import ranef; ranef.datasets.load('cbpp').to_csv('cbpp.csv', index=False)"
#   Rscript feglm.R cbpp.csv expected/feglm.json
library(survival)
library(jsonlite)
args <- commandArgs(TRUE)
cbpp <- read.csv(args[1])
cbpp$period <- factor(cbpp$period)
of <- function(fit, keep) {
  table <- coef(summary(fit))
  cox <- inherits(fit, "coxph")
  at <- grep(keep, rownames(table))
  list(
    names = rownames(table)[at], estimates = unname(table[at, if (cox) "coef" else "Estimate"]),
    errors = unname(table[at, if (cox) "se(coef)" else "Std. Error"]), llf = as.numeric(logLik(fit))
  )
}
seen <- cbpp[ave(cbpp$incidence, cbpp$herd, FUN = sum) > 0, ]
tight <- glm.control(epsilon = 1e-14, maxit = 100)
counts <- glm(incidence ~ period + factor(herd) + offset(log(size)), poisson, seen, control = tight)
single <- cbpp[rep(seq_len(nrow(cbpp)), cbpp$size), ]
single$ill <- unlist(lapply(seq_len(nrow(cbpp)), function(i) as.numeric(seq_len(cbpp$size[i]) <= cbpp$incidence[i])))
exact <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 100)
animals <- clogit(ill ~ period + strata(herd), single, method = "exact", control = exact)
births <- clogit(case ~ spontaneous + induced + strata(stratum), infert, method = "exact", control = exact)
found <- list(
  versions = paste(R.version.string, "survival", packageVersion("survival")),
  counts = of(counts, "^period"), animals = of(animals, "^period"), infert = of(births, "."),
  data = as.list(infert[, c("case", "spontaneous", "induced", "stratum")])
)
write(toJSON(found, digits = NA, auto_unbox = TRUE), args[2])
