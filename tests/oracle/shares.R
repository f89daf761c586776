# Parts of the variance by insight 0.19.0 (Debian 12: r-cran-insight, glmmTMB 1.1.5, ordinal 2022.11-16, R 4.2.2):
#   Rscript tests/oracle/shares.R; its output is in test_shares_vs_insight.py
suppressMessages({library(glmmTMB); library(ordinal); library(insight)})
d <- read.csv("tests/oracle/shares.csv")
d$g <- factor(d$g); d$h <- factor(d$h); d$o <- ordered(d$o)
f <- function(y) as.formula(paste(y, "~ x + (1 | g) + (1 | h)"))
show <- function(name, model) {
  v <- suppressWarnings(get_variance(model))
  cat(name, v$var.fixed, v$var.random, v$var.distribution, as.numeric(logLik(model)), "\n")
}
show("negative_binomial", glmmTMB(f("nb"), d, family = nbinom2))
show("nbinom1", glmmTMB(f("nb"), d, family = nbinom1))
show("poisson with zeros", glmmTMB(f("zip"), d, family = poisson, ziformula = ~1))
show("beta", glmmTMB(f("be"), d, family = beta_family))
show("betabinomial", glmmTMB(f("cbind(bb, rest)"), d, family = betabinomial))
show("tweedie", glmmTMB(f("tw"), d, family = tweedie))
show("gamma", glmmTMB(f("ga"), d, family = Gamma("log")))
show("clmm logit", clmm(f("o"), data = d))
show("clmm probit", clmm(f("o"), data = d, link = "probit"))
