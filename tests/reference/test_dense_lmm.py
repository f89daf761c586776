"""The dense reference against lme4, at thetas that are no optimum and at lme4's optima.

Numbers: R 4.2.2, lme4 1.1-31; the objectives from ``lmer(..., devFunOnly = TRUE)(theta)``.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import ranef.datasets
from conftest import EXACT, OPTIMUM, OPTIMUM_OBJECTIVE
from reference import dense_lmm
from reference.dense_lmm import Term

ONE = (1,)


def codes(frame, column):
    return frame[column].cat.codes.to_numpy()


def dummies(factor):
    return np.eye(len(factor.cat.categories))[factor.cat.codes]


def sleepstudy(blocks=(2,), weighted=False):
    """(y, X, terms, weights) of Reaction ~ Days with a random intercept and slope."""
    d = ranef.datasets.load("sleepstudy")
    X = np.column_stack([np.ones(180), d["Days"]])
    w = 1 / (1 + d["Days"].to_numpy()) if weighted else None
    return d["Reaction"].to_numpy(), X, [Term(codes(d, "Subject"), X, blocks)], w


def sleepstudy_two_terms():
    y, X, [term], w = sleepstudy()
    return y, X, [Term(term.codes, X[:, [j]], ONE) for j in (0, 1)], w


def scalar_terms(name, response, *groups):
    d = ranef.datasets.load(name)
    one = np.ones((len(d), 1))
    y = d[response].to_numpy(float)
    return y, one, [Term(codes(d, g), one, ONE) for g in groups], None


def machines():
    d = ranef.datasets.load("Machines")
    Z = dummies(d["Machine"])
    X = np.column_stack([np.ones(54), Z[:, 1:]])
    return d["score"].to_numpy(), X, [Term(codes(d, "Worker"), Z, (3,))], None


SLOPE, WEIGHTED = sleepstudy(), sleepstudy(weighted=True)
INDEPENDENT, TWO_TERMS = sleepstudy(blocks=(1, 1)), sleepstudy_two_terms()
PENICILLIN = scalar_terms("Penicillin", "diameter", "plate", "sample")
PASTES = scalar_terms("Pastes", "strength", "sample", "batch")
DYESTUFF = scalar_terms("Dyestuff", "Yield", "Batch")
DYESTUFF2 = scalar_terms("Dyestuff2", "Yield", "Batch")
MACHINES = machines()

AWAY_FROM_OPTIMUM = [
    (SLOPE, True, [1, 0, 1], 1773.680330616),
    (SLOPE, True, [0.5, -0.3, 0.2], 1774.4443409376),
    (SLOPE, True, [0, 0.4, 0.1], 1772.082656022479),
    (SLOPE, True, [2, 0.1, 0], 1777.895016029353),
    (SLOPE, True, [0, 0, 0], 1893.663663472109),
    (SLOPE, False, [1, 0, 1], 1784.642296192447),
    (SLOPE, False, [0.5, -0.3, 0.2], 1782.617332146227),
    (INDEPENDENT, True, [0.7, 0.4], 1751.41436073737),
    (TWO_TERMS, True, [0.7, 0.4], 1751.41436073737),
    (WEIGHTED, True, [1.5, -0.2, 0.3], 1761.816941796139),
    (WEIGHTED, False, [1.5, -0.2, 0.3], 1768.991691037058),
    (PENICILLIN, True, [1, 2], 340.5658550354673),
    (PENICILLIN, True, [0, 1], 441.7189847038518),
    (PASTES, False, [3, 0.5], 249.4698656029109),
    (MACHINES, True, [1, -0.5, 0.3, 2, 0.7, 0.1], 266.9880276697851),
    (DYESTUFF2, True, [0], 161.8282778122884),
    (DYESTUFF2, True, [0.5], 164.1552340420312),
]

# model, reml, theta, objective, sigma, beta, standard errors
AT_OPTIMUM = [
    (
        SLOPE,
        True,
        [0.9667329507067438, 0.015169055965376507, 0.23090959438746292],
        1743.628271958491,
        25.59181562928058,
        [251.40510484848386, 10.467285959595761],
        [6.824556526781629, 1.5457888950267733],
    ),
    (
        SLOPE,
        False,
        [0.9292254743263908, 0.018165706698392917, 0.2226454226398721],
        1751.9393444631976,
        25.591815624761335,
        [251.40510484848497, 10.467285959595479],
        [6.632276809588019, 1.5022367826050742],
    ),
    (
        INDEPENDENT,
        True,
        [0.9798962999758886, 0.23423057831787092],
        1743.669293581312,
        25.565285352673456,
        [251.4051048484843, 10.46728595959565],
        [6.885381296013617, 1.559565944786694],
    ),
    (
        WEIGHTED,
        True,
        [2.3810227020004158, -0.04967417826941173, 0.5389810847305897],
        1739.7879746415056,
        11.531000459534178,
        [254.2102289868179, 9.843925039965555],
        [6.816473200488832, 1.5869054885858218],
    ),
    (
        PENICILLIN,
        True,
        [1.5396775737725026, 3.5124152338674293],
        330.8605889910861,
        0.5499231390194737,
        [22.972222222222978],
        [0.8085733931110748],
    ),
    (
        PASTES,
        False,
        [3.526901809966726, 1.3299120322886497],
        247.994465862425,
        0.823407554044301,
        [60.05333333333239],
        [0.6421353267669907],
    ),
    (
        MACHINES,
        True,
        [
            4.242283475088215,
            7.200623459147041,
            2.8416576198045758,
            5.348921294284207,
            2.07542437634577,
            2.9078690300843464,
        ],
        208.31121831641835,
        0.9615766374939339,
        [52.35555555555744, 7.9666666666680666, 13.916666666666313],
        [1.6807111955394871, 2.420850783539287, 1.5400998034781581],
    ),
]


@pytest.mark.parametrize(("model", "reml", "theta", "objective"), AWAY_FROM_OPTIMUM)
def test_objective_away_from_the_optimum(model, reml, theta, objective):
    ours = dense_lmm.evaluate(theta, *model, reml=reml)
    assert_allclose(ours.objective, objective, rtol=EXACT)


@pytest.mark.parametrize(("model", "reml", "theta", "objective", "sigma", "beta", "se"), AT_OPTIMUM)
def test_estimates_at_the_optimum(model, reml, theta, objective, sigma, beta, se):
    ours = dense_lmm.evaluate(theta, *model, reml=reml)
    assert_allclose(ours.objective, objective, rtol=EXACT)
    assert_allclose(ours.sigma, sigma, rtol=EXACT)
    assert_allclose(ours.beta, beta, rtol=EXACT)
    assert_allclose(np.sqrt(np.diag(ours.cov_beta)), se, rtol=EXACT)


@pytest.mark.parametrize(
    ("model", "reml", "theta"), [(case[0], case[1], case[2]) for case in AT_OPTIMUM]
)
def test_gradient_is_zero_at_the_optimum(model, reml, theta):
    assert_allclose(dense_lmm.gradient(theta, *model, reml=reml), 0, atol=1e-4)


def test_gradient_is_not_zero_elsewhere():
    theta = np.array([1.5, -0.2, 0.3])
    slope = dense_lmm.gradient(theta, *WEIGHTED)
    step = 1e-3 * slope / np.linalg.norm(slope)
    up = dense_lmm.evaluate(theta + step, *WEIGHTED).objective
    assert_allclose(up - 1761.816941796139, slope @ step, rtol=0.01)


def test_conditional_modes_and_variances_of_a_vector_term():
    ours = dense_lmm.evaluate(AT_OPTIMUM[3][2], *WEIGHTED)
    assert_allclose(ours.b[0][0], [-6.075141615006582, 10.27592549586604], rtol=1e-8)
    assert_allclose(
        ours.condvar[0][0],
        [[70.9660643405621, -12.25244934145707], [-12.25244934145707, 5.329330715162232]],
        rtol=1e-8,
    )


def test_conditional_modes_and_variances_of_crossed_terms():
    plate, sample = range(2)
    ours = dense_lmm.evaluate(AT_OPTIMUM[4][2], *PENICILLIN)
    assert_allclose(ours.b[plate][:2, 0], 0.8045470444752574, rtol=1e-8)
    assert_allclose(ours.b[sample][:2, 0], [2.187057967472101, -1.0104761495294905], rtol=1e-8)
    assert_allclose(ours.condvar[plate][0], 0.07363599603048111, rtol=1e-8)
    assert_allclose(ours.condvar[sample][0], 0.04087303491064419, rtol=1e-8)


def test_weights_act_as_repeated_rows_in_ml():
    """Doubling every row is a weight of two, but for the count of rows and log w."""
    y, X, [term], _ = DYESTUFF
    twice = np.repeat(np.arange(30), 2)
    rows = y[twice], X[twice], [Term(term.codes[twice], X[twice], ONE)]
    once = dense_lmm.evaluate([0.8], y, X, [term], np.full(30, 2.0), reml=False)
    double = dense_lmm.evaluate([0.8], *rows, reml=False)
    assert_allclose(once.beta, double.beta, rtol=EXACT)
    assert_allclose(once.b[0], double.b[0], rtol=1e-8)


@pytest.mark.parametrize(
    ("model", "reml", "objective", "theta"),
    [
        (DYESTUFF, False, 327.3270598811351, [0.7525806921924096]),
        (DYESTUFF2, True, 161.82827781228843, [0.0]),
        (SLOPE, True, AT_OPTIMUM[0][3], AT_OPTIMUM[0][2]),
        (PENICILLIN, True, AT_OPTIMUM[4][3], AT_OPTIMUM[4][2]),
    ],
)
def test_fit_finds_the_optimum(model, reml, objective, theta):
    ours = dense_lmm.fit(*model, reml=reml)
    assert_allclose(ours.objective, objective, rtol=0, atol=OPTIMUM_OBJECTIVE)
    # at theta = 0 the objective is even in theta: flat to the fourth root of rounding
    assert_allclose(np.abs(ours.theta), theta, rtol=OPTIMUM, atol=1e-4 if 0 in theta else 1e-6)
