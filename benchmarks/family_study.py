"""Every family on 1,000 simulated sets: coverage of intervals, and whether "converged" is true.

    python benchmarks/family_study.py [sets] [family ...]

A hundred groups of eight rows, a covariate that varies within groups, and an intercept a group with
standard deviation 0.5. Draws are numpy's and scipy's, or from a table of the distribution's own
probabilities, never the library's. Each set is fitted twice, the second time from a standard
deviation between 0.05 and 3: a fit that says "converged" with a -2 log-likelihood over 1e-4 above
the other's is false.
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd
import scipy.special
import scipy.stats

import ranef

GROUPS, ROWS, SD = 100, 8, 0.5
SLOPE = 0.3
TOP = 400  # counts of a table


def tabled(rng, log_weight):
    """Draw counts by weights (n, TOP + 1) up to a constant."""
    p = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    total = np.cumsum(p, axis=1)
    return (rng.random((len(p), 1)) * total[:, -1:] > total).sum(axis=1)


def consul(rng, mu, phi):
    """Generalised Poisson counts of mean mu and variance phi mu."""
    y, root = np.arange(TOP + 1.0), np.sqrt(phi)
    rate = mu[:, None] / root + (1 - 1 / root) * y
    return tabled(
        rng, np.log(mu[:, None]) + (y - 1) * np.log(rate) - rate - scipy.special.gammaln(y + 1)
    )


def conway(rng, mu, nu):
    """Conway-Maxwell-Poisson counts of mean mu: the rate is found by bisection of its logarithm."""
    y = np.arange(TOP + 1.0)
    low, high = np.full(len(mu), -20.0), np.full(len(mu), 20.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        w = middle[:, None] * y - nu * scipy.special.gammaln(y + 1)
        w = np.exp(w - w.max(axis=1, keepdims=True))
        above = (w @ y) / w.sum(axis=1) > mu
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return tabled(rng, low[:, None] * y - nu * scipy.special.gammaln(y + 1))


def nb(rng, mu, size):
    """Negative binomial counts: Poisson with a gamma mean."""
    return rng.poisson(mu * rng.gamma(size, 1 / size, len(mu)))


def above_zero(draw):
    """Draw again until there is no zero."""

    def drawn(rng, mu):
        y = draw(rng, mu)
        while (y == 0).any():
            y = np.where(y == 0, draw(rng, mu), y)
        return y

    return drawn


def compound(rng, mu, phi, p):
    """Tweedie: a Poisson number of gammas."""
    n = rng.poisson(mu ** (2 - p) / (phi * (2 - p)))
    shape = (2 - p) / (p - 1)
    return np.where(n > 0, rng.gamma(np.maximum(n, 1) * shape, phi * (p - 1) * mu ** (p - 1)), 0.0)


def ordered_beta(rng, eta, phi, low, high):
    """Zeros below the lower cut of a logistic variable, ones above the upper one."""
    mu, latent = scipy.special.expit(eta), eta + rng.logistic(size=len(eta))
    inner = rng.beta(mu * phi, (1 - mu) * phi)
    # the cuts are P(y = 0) = expit(low - eta), P(y = 1) = expit(eta - high)
    return np.where(latent < low, 0.0, np.where(latent > high, 1.0, inner))


def inside(y):
    """Keep shares off the ends, to which small ones are rounded."""
    return np.clip(y, 1e-12, 1 - 1e-12)


expit = scipy.special.expit


def shares(rng, eta):
    """Beta shares of precision 5."""
    return inside(rng.beta(5 * expit(eta), 5 * expit(-eta)))


def nb_of(rng, eta):
    """Negative binomial counts of size 2."""
    return nb(rng, np.exp(eta), 2.0)


def nb1_of(rng, eta):
    """Counts of variance 2.5 mu."""
    return nb(rng, np.exp(eta), np.exp(eta) / 1.5)


def with_zeros(draw):
    """Structural zeros beside, their logit -0.8 + 0.4 x."""

    def drawn(rng, eta, x):
        return np.where(rng.random(len(eta)) < expit(-0.8 + 0.4 * x), 0, draw(rng, eta))

    return drawn


def uneven(rng, eta, x):
    """Normal responses, log standard deviation -0.3 + 0.2 x."""
    return eta + np.exp(-0.3 + 0.2 * x) * rng.normal(size=len(eta))


def scores(rng, eta):
    """Five ordered answers."""
    return 1 + np.digitize(eta + rng.logistic(size=len(eta)), [-1.5, -0.3, 0.6, 1.8])


# name: (family, options, intercept, draws from eta)
STUDIES = {
    "binomial": ("binomial", {}, 0.2, lambda r, e: r.binomial(10, expit(e))),
    "binomial, probit": (
        "binomial",
        {"link": "probit"},
        0.2,
        lambda r, e: r.binomial(10, scipy.stats.norm.cdf(e)),
    ),
    "betabinomial": ("betabinomial", {}, 0.2, lambda r, e: r.binomial(10, shares(r, e))),
    "poisson": ("poisson", {}, 1.0, lambda r, e: r.poisson(np.exp(e))),
    "negative_binomial": ("negative_binomial", {}, 1.0, nb_of),
    "nbinom1": ("nbinom1", {}, 1.0, nb1_of),
    "generalized_poisson": ("generalized_poisson", {}, 1.0, lambda r, e: consul(r, np.exp(e), 2.0)),
    "compois": ("compois", {}, 1.0, lambda r, e: conway(r, np.exp(e), 0.6)),
    "truncated_poisson": (
        "truncated_poisson",
        {},
        1.0,
        above_zero(lambda r, e: r.poisson(np.exp(e))),
    ),
    "truncated_negative_binomial": ("truncated_negative_binomial", {}, 1.0, above_zero(nb_of)),
    "truncated_nbinom1": ("truncated_nbinom1", {}, 1.0, above_zero(nb1_of)),
    "gamma": ("gamma", {"link": "log"}, 1.0, lambda r, e: r.gamma(2.0, np.exp(e) / 2.0)),
    "lognormal": ("lognormal", {}, 1.0, lambda r, e: np.exp(e + 0.7 * r.normal(size=len(e)))),
    "beta": ("beta", {}, 0.2, shares),
    "ordered_beta": ("ordered_beta", {}, 0.2, lambda r, e: ordered_beta(r, e, 5.0, -2.0, 2.0)),
    "tweedie": ("tweedie", {}, 1.0, lambda r, e: compound(r, np.exp(e), 1.5, 1.6)),
    "student": ("student", {}, 1.0, lambda r, e: e + 0.8 * r.standard_t(5, len(e))),
    "gaussian, dispersion": ("gaussian", {"dispersion": "~ x"}, 1.0, uneven),
    "negative_binomial, zeros": ("negative_binomial", {"zero": "~ x"}, 1.0, with_zeros(nb_of)),
    "truncated_negative_binomial, hurdle": (
        "truncated_negative_binomial",
        {"zero": "~ x"},
        1.0,
        with_zeros(above_zero(nb_of)),
    ),
    "ordinal": ("ordinal", {}, 0.0, scores),
}
TRIALS = ("binomial", "betabinomial")
WITH_X = {name for name in STUDIES if "," in name and "probit" not in name}
TRUE_MORE = {"zero": {"Intercept": -0.8, "x": 0.4}, "dispersion": {"Intercept": -0.3, "x": 0.2}}


def simulated(name, seed):
    """One data set."""
    _, _, intercept, draw = STUDIES[name]
    rng = np.random.default_rng([2026, seed, sum(map(ord, name))])
    g = np.repeat(np.arange(GROUPS), ROWS)
    x = rng.normal(size=len(g))
    eta = intercept + SLOPE * x + SD * rng.normal(size=GROUPS)[g]
    y = draw(rng, eta, x) if name in WITH_X else draw(rng, eta)
    frame = pd.DataFrame({"y": y, "x": x, "g": g})
    return frame.assign(m=10 - frame["y"]) if STUDIES[name][0] in TRIALS else frame


def fitted(name, frame, control=None):
    """Fit one data set."""
    family, options, _, _ = STUDIES[name]
    left = "cbind(y, m)" if "m" in frame else "y"
    formula = f"{left} ~ x + (1 | g)"
    if family == "ordinal":
        return ranef.clmm(formula, frame, control=control)
    return ranef.glmer(formula, frame, family=family, control=control, **options)


def covered(model, name):
    """Whether each coefficient's 95 % interval has the true value."""
    _, options, intercept, _ = STUDIES[name]
    true = {"location": {"Intercept": intercept, "x": SLOPE}}
    true |= {part: TRUE_MORE[part] for part in options if part in TRUE_MORE}
    out = {}
    for part, values in true.items():
        table = model.coef_table(part=part) if len(true) > 1 else model.coef_table()
        for term, value in values.items():
            if term in table.index:
                row = table.loc[term]
                out[part, term] = abs(row["estimate"] - value) < 1.959963985 * row["se"]
    return out


def complain(text):
    """Tell of one set beside the table."""
    print(text, file=sys.stderr, flush=True)


def study(name, sets):
    """One row of the table."""
    hits, false, stopped, failed, seconds, short = {}, 0, 0, 0, 0.0, 0
    for seed in range(sets):
        frame = simulated(name, seed)
        size = float(np.exp(np.random.default_rng(seed).uniform(np.log(0.05), np.log(3.0))))
        begin = time.process_time()
        try:
            model = fitted(name, frame)
        except ranef.RanefError as error:
            failed += 1
            complain(f"{name} {seed}: {error}")
            continue
        seconds += time.process_time() - begin
        other = fitted(name, frame, ranef.Control(start=(np.array([[size]]),)))
        told = bool(model.convergence.converged)
        stopped += not told
        gap = 2 * (other.llf - model.llf)
        if gap > 1e-4 and told:
            false += 1
            print(
                f"  {name} {seed}: {gap:.3g} above the fit from {size:.3g}",
                file=sys.stderr,
                flush=True,
            )
        if gap < -1e-4 and other.convergence.converged:
            short += 1
            print(
                f"  {name} {seed}: from {size:.3g} it ends {-gap:.3g} above",
                file=sys.stderr,
                flush=True,
            )
        for key, hit in covered(model, name).items():
            hits.setdefault(key, []).append(hit)
    cells = ", ".join(
        f"{term if part == 'location' else f'{part} {term}'} {100 * np.mean(hit):.1f}"
        for (part, term), hit in hits.items()
    )
    milliseconds = 1e3 * seconds / sets
    row = f"{name} | {cells} | {stopped} | {false} | {short} | {failed} | {milliseconds:.1f}"
    print(f"| {row} |", flush=True)


def main():
    """Print the table."""
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    warnings.simplefilter("ignore")
    print("| family | coverage, % | not converged | false | other start above | failed | ms |")
    print("|---|---|---|---|---|---|---|")
    for name in sys.argv[2:] or STUDIES:
        study(name, sets)


if __name__ == "__main__":
    main()
