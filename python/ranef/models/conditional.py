"""Logistic regression given the number of successes of each group: the exact likelihood."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import NDArray

from .._typing import Array, Codes, Positions
from .conditional_sums import SumOfMany

__all__ = ["ConditionalEstimate", "ConditionalPoint", "Strata", "fit_conditional"]

#: Numbers held at once for the distributions of one batch of groups.
BATCH = 4_000_000
#: Rows of a group from which on its sum is taken by its characteristic function.
MANY = 100
#: Newton steps to the constant under which a group expects as many successes as it has.
SHIFTS = 30
#: Most Newton steps, and most halvings of a step that does not raise the likelihood.
MOST_STEPS, HALVINGS = 50, 30
#: Squared length of the last step, in standard errors.
SETTLED = 1e-14
#: Information on a coefficient, relative to that at zero, that counts as none.
VANISHED = 1e-7


@dataclass(frozen=True)
class ConditionalPoint:
    """The conditional likelihood at some coefficients.

    Attributes
    ----------
    llf : float
        Log-likelihood.
    scores : ndarray of shape (G, p)
        Its derivative, by group.
    information : ndarray of shape (G, p, p)
        Its negative second derivative, by group.
    """

    llf: float
    scores: Array
    information: Array


@dataclass(frozen=True)
class Strata:
    """Groups of rows with a response of zeros and ones, both in each.

    Attributes
    ----------
    y : ndarray of shape (n,)
        Responses.
    X : ndarray of shape (n, p)
        Columns.
    offset : ndarray of shape (n,)
        Known part of the linear predictor.
    codes : ndarray of shape (n,), int32
        Groups.

    Notes
    -----
    Given the sum k of a group the log-likelihood is sum(y eta) - log e_k(exp(eta)) with e_k the
    elementary symmetric polynomial: up to a known factor, the probability that independent
    successes of probability p_i = 1 / (1 + exp(-c - eta_i)) add up to k, which a recursion over
    the rows computes exactly, with derivatives [1]_; for large groups its characteristic function
    does so in less time. With the constant c that makes k expected no
    term of it is too small or too large for a number.

    References
    ----------
    .. [1] Gail, Lubin and Rubinstein (1981), Biometrika 68, 703-707.
    """

    y: Array
    X: Array
    offset: Array
    codes: Codes

    def at(self, beta: Array) -> ConditionalPoint:
        """Evaluate the likelihood and its derivatives."""
        p = self.X.shape[1]
        count = int(self.codes.max()) + 1
        scores, information = np.zeros((count, p)), np.zeros((count, p, p))
        llf = 0.0
        for batch in self._batches(2 + 2 * p * p):
            X = batch.of(self.X)
            value, slope, bend = _sums(batch, X, batch.of(self.eta(beta)))
            llf += float(value.sum())
            scores[batch.groups] = np.einsum("gip,gi->gp", X, batch.y) - slope
            information[batch.groups] = bend
        return ConditionalPoint(llf, scores, information)

    def eta(self, beta: Array) -> Array:
        """Linear predictor without the groups' effects."""
        return np.asarray(self.X @ beta + self.offset)

    def means(self, beta: Array) -> Array:
        """Return the probability of a success of each row, given the sum of its group."""
        out = np.empty(len(self.y))
        for batch in self._batches(2, whole=True):
            p = batch.probabilities(batch.of(self.eta(beta)))[0]
            if p.shape[1] >= MANY:
                for rows, own, k in zip(batch.rows, p, batch.total, strict=True):
                    real = rows >= 0
                    out[rows[real]] = SumOfMany(own[real], int(k)).shares()
                continue
            before, after = _before(p, batch.width), _after(p, batch.width)
            groups = np.arange(len(p))[:, None]
            rest = batch.total[:, None] - 1 - np.arange(batch.width)
            whole = after[0, groups[:, 0], batch.total]
            for i in range(p.shape[1]):
                others = np.where(rest >= 0, after[i + 1][groups, rest], 0.0)
                chance = p[:, i] * (before[i] * others).sum(axis=1) / whole
                real = batch.rows[:, i] >= 0
                out[batch.rows[real, i]] = chance[real]
        return out

    def draw(self, rng: np.random.Generator, beta: Array) -> Array:
        """Draw responses with the sums that the groups have."""
        out = np.empty(len(self.y))
        for batch in self._batches(2, whole=True):
            p = batch.probabilities(batch.of(self.eta(beta)))[0]
            after, left, all_groups = _after(p, batch.width), batch.total.copy(), range(len(p))
            for i in range(p.shape[1]):
                one = np.where(left > 0, after[i + 1, all_groups, left - 1], 0.0)
                chance = p[:, i] * one / after[i, all_groups, left]
                hit = rng.random(len(p)) < chance
                real = batch.rows[:, i] >= 0
                out[batch.rows[real, i]] = hit[real]
                left = left - (hit & real)
        return out

    def _batches(self, numbers: int, *, whole: bool = False) -> Iterator[Batch]:
        """Go through the groups in batches of similar size and limited memory.

        ``numbers`` are held for each sum of a group, ``whole`` for each of its rows too.
        """
        order = np.argsort(self.codes, kind="stable")
        size = np.bincount(self.codes)
        total = np.bincount(self.codes, self.y).astype(np.intp)
        start = np.concatenate([[0], np.cumsum(size)[:-1]])
        by_size = np.lexsort((total, size))
        at = 0
        while at < len(by_size):
            many, last = 0, at
            while last < len(by_size):
                g = by_size[last]
                each = (int(total[by_size[at : last + 1]].max()) + 1) * numbers
                each *= int(size[g]) if whole else 1
                many = (last + 1 - at) * each
                if many > BATCH and last > at:
                    break
                last += 1
            groups = by_size[at:last]
            step = np.arange(int(size[groups].max()))
            real = step < size[groups][:, None]
            rows = np.where(real, order[np.where(real, start[groups][:, None] + step, 0)], -1)
            yield Batch.of_groups(groups, rows, self.y)
            at = last


@dataclass(frozen=True)
class Batch:
    """Some groups side by side, filled up with rows that cannot succeed.

    Attributes
    ----------
    groups : ndarray of shape (g,)
        Which groups.
    rows : ndarray of shape (g, m)
        Rows of each; -1 where there is none.
    y : ndarray of shape (g, m)
        Their responses; 0 where there is none.
    total : ndarray of shape (g,)
        Successes of each.
    """

    groups: Positions
    rows: Positions
    y: Array
    total: Positions

    @classmethod
    def of_groups(cls, groups: Positions, rows: Positions, y: Array) -> Batch:
        """Lay groups out, by the rows of each."""
        own = np.where(rows >= 0, y[rows], 0.0)
        return cls(groups, rows, own, own.sum(axis=1).astype(np.intp))

    @property
    def width(self) -> int:
        """Sums that are kept: 0 to the largest total."""
        return int(self.total.max()) + 1

    def of(self, values: Array) -> Array:
        """Lay out values of all rows; zeros where there is none."""
        found = values[self.rows]
        found[self.rows < 0] = 0.0
        return np.asarray(found)

    def probabilities(self, eta: Array) -> tuple[Array, Array]:
        """Probability of success of each row, shifted so that each group's total is expected.

        The linear predictors that they belong to come second.
        """
        real = self.rows >= 0
        size, k = real.sum(axis=1), self.total
        centre = np.where(real, eta, 0.0).sum(axis=1) / size
        shift = np.log(k / (size - k)) - centre
        for _ in range(SHIFTS):
            p = np.where(real, 1.0 / (1.0 + np.exp(-np.clip(eta + shift[:, None], -700, 700))), 0.0)
            slope = np.maximum((p * (1.0 - p)).sum(axis=1), 1e-3)
            shift = shift + np.clip((k - p.sum(axis=1)) / slope, -5.0, 5.0)
        moved = eta + shift[:, None]
        p = np.where(real, 1.0 / (1.0 + np.exp(-np.clip(moved, -700, 700))), 0.0)
        return p, moved


def _sums(batch: Batch, X: Array, eta: Array) -> tuple[Array, Array, Array]:
    """Log-likelihood of each group, and first and second derivatives of log e_k."""
    p, moved = batch.probabilities(eta)
    probabilities = _by_transform if p.shape[1] >= MANY else _by_recursion
    value, slope, bend = probabilities(batch, p, X)
    # log e_k = log P(sum = k) + sum of log(1 + exp(eta)), whose derivatives are added here
    real = batch.rows >= 0
    logs = np.where(real, np.logaddexp(0.0, moved), 0.0).sum(axis=1)
    own = (np.where(real, moved, 0.0) * batch.y).sum(axis=1)
    slope = slope + np.einsum("gi,gip->gp", p, X)
    bend = bend + np.einsum("gi,gip,giq->gpq", p * (1.0 - p), X, X, optimize=True)
    return own - np.log(value) - logs, slope, bend


def _by_transform(batch: Batch, p: Array, X: Array) -> tuple[Array, Array, Array]:
    """Probability of each group's total, and two derivatives of its logarithm."""
    g, _, columns = X.shape
    value, slope, bend = np.empty(g), np.empty((g, columns)), np.empty((g, columns, columns))
    for i, (rows, total) in enumerate(zip(batch.rows, batch.total, strict=True)):
        real = rows >= 0
        found = SumOfMany(p[i, real], int(total))
        value[i] = found.value
        slope[i], bend[i] = found.derivatives(X[i, real])
    return value, slope, bend


def _by_recursion(batch: Batch, p: Array, X: Array) -> tuple[Array, Array, Array]:
    """Return the same for groups of few rows, all at once."""
    g, m, columns = X.shape
    at = np.arange(g), batch.total
    f = np.zeros((g, batch.width))
    f[:, 0] = 1.0
    D = np.zeros((g, batch.width, columns))
    H = np.zeros((g, batch.width, columns, columns))
    for i in range(m):
        q, x = p[:, i, None], X[:, i, None, :]
        spread = q * (1.0 - q)
        up, D_up, H_up = _moved(f), _moved(D), _moved(H)
        step, D_step = up - f, D_up - D
        cross = x[..., None] * D_step[..., None, :]
        bend = (spread * (1.0 - 2.0 * q) * step)[..., None, None] * (x[..., None] * x[..., None, :])
        H = H + q[..., None, None] * (H_up - H) + bend
        H += spread[..., None, None] * (cross + np.swapaxes(cross, -1, -2))
        D = D + q[..., None] * D_step + (spread * step)[..., None] * x
        f = f + q * step
    value = f[at]
    slope = D[at] / value[:, None]
    return value, slope, H[at] / value[:, None, None] - slope[:, :, None] * slope[:, None, :]


def _moved(values: Array) -> Array:
    """Move distributions up by one success."""
    out = np.zeros_like(values)
    out[:, 1:] = values[:, :-1]
    return out


def _before(p: Array, width: int) -> Array:
    """Distributions of the sum of the rows before each, shape (m + 1, g, width)."""
    g, m = p.shape
    out = np.zeros((m + 1, g, width))
    out[0, :, 0] = 1.0
    for i in range(m):
        q = p[:, i, None]
        out[i + 1] = out[i] + q * (_moved(out[i]) - out[i])
    return out


def _after(p: Array, width: int) -> Array:
    """Distributions of the sum of each row and those after it, shape (m + 1, g, width)."""
    return _before(p[:, ::-1], width)[::-1]


@dataclass(frozen=True)
class ConditionalEstimate:
    """What the search ended at.

    Attributes
    ----------
    beta : ndarray of shape (r,)
        Coefficients of the columns of the strata.
    point : ConditionalPoint
        The likelihood there.
    cov : ndarray of shape (r, r)
        Inverse of the information.
    separated : ndarray of shape (r,), bool
        Coefficients along which the likelihood rises without end.
    converged : bool
        Whether the last step was negligible, and none is separated.
    steps : int
        Newton steps.
    """

    beta: Array
    point: ConditionalPoint
    cov: Array
    separated: NDArray[np.bool_]
    converged: bool
    steps: int


def fit_conditional(strata: Strata) -> ConditionalEstimate:
    """Maximise the conditional likelihood, which is concave, by Newton's method."""
    scale = np.sqrt(np.mean(strata.X**2, axis=0))
    found = _newton(replace(strata, X=strata.X / scale))
    point = replace(
        found.point,
        scores=found.point.scores * scale,
        information=found.point.information * np.outer(scale, scale),
    )
    cov = found.cov / np.outer(scale, scale)
    return replace(found, beta=found.beta / scale, point=point, cov=cov)


def _newton(strata: Strata) -> ConditionalEstimate:
    """Search with columns of similar size, as the tolerances of the inverses assume."""
    beta = np.zeros(strata.X.shape[1])
    point = strata.at(beta)
    first = point.information.sum(axis=0)
    settled, used = False, 0
    while used < MOST_STEPS and not settled:
        used += 1
        score, information = point.scores.sum(axis=0), point.information.sum(axis=0)
        step = np.asarray(scipy.linalg.pinvh(information, rtol=1e-14) @ score)
        settled = float(step @ score) < SETTLED
        for _ in range(HALVINGS):
            found = strata.at(beta + step)
            if found.llf >= point.llf - 1e-12 * abs(point.llf):
                break
            step = 0.5 * step
        beta, point = beta + step, found
    information = point.information.sum(axis=0)
    separated = flat(first, information)
    cov = np.asarray(scipy.linalg.pinvh(information))
    return ConditionalEstimate(beta, point, cov, separated, settled and not separated.any(), used)


def flat(first: Array, last: Array) -> NDArray[np.bool_]:
    """Find which coefficients take part in a direction whose information has vanished."""
    root = np.linalg.cholesky(first)
    inner = np.linalg.solve(root, np.linalg.solve(root, last).T)
    values, vectors = np.linalg.eigh(0.5 * (inner + inner.T))
    gone = np.abs(np.linalg.solve(root.T, vectors[:, values < VANISHED]))
    size = np.sqrt(np.diag(first))[:, None] * gone
    return np.asarray((size > 1e-3 * size.max(axis=0, initial=1e-300)).any(axis=1))
