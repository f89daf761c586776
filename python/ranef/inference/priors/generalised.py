"""Priors of the covariances of a generalised linear mixed model, as a penalty of its search."""

from __future__ import annotations

import numpy as np

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...errors import UnsupportedError
from .parts import prior_parts
from .priors import PriorLike, prior_of

__all__ = ["CovariancePenalty"]


#: A standardised factor this close to singular has no density.
NEAREST = 1e-7


class CovariancePenalty:
    """-2 log prior density of the covariances as the formula scales its columns, by theta.

    Parameters
    ----------
    design, core
        The model.
    prior : str, Prior, or mapping of group to either
        Densities of the covariance matrices.

    Raises
    ------
    UnsupportedError
        For a prior of fixed effects or of a residual.
    """

    def __init__(self, design: Design, core: _core.Glmm, prior: PriorLike):
        parts = prior_parts(prior, design)
        if parts.fixed is not None or parts.residual is not None:
            raise UnsupportedError(
                "glmer takes priors only for the covariances of random effects; omit 'fixed' "
                "and 'residual'"
            )
        self._elements = core.parameters
        points = parts.known_terms(design)
        #: Elements of theta whose standard deviation is known, and their values.
        self.known = {
            a: points[t] / core.term_basis(t)[0, 0]
            for a, (t, _, _) in enumerate(self._elements)
            if t in points
        }
        self._sizes = [term.n_cols for term in design.random]
        self._parts = []
        for t, term in enumerate(design.random):
            density = prior_of(parts.random, term, reml=False)
            if density is None:
                continue
            if term.is_structured:
                raise UnsupportedError(
                    f"priors are of free covariances, and that of {term.written} has a structure; "
                    "leave its prior out"
                )
            for block in term.blocks:
                index = np.ix_(block, block)
                self._parts.append((t, index, core.term_basis(t)[index], density))

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Return the penalty and its gradient by theta; infinite at a singular covariance."""
        blocks = [np.zeros((k, k)) for k in self._sizes]
        for (t, i, j), value in zip(self._elements, theta, strict=True):
            if j >= 0:  # of a structure there is no prior
                blocks[t][i, j] = value
        slopes = [np.zeros_like(block) for block in blocks]
        total = 0.0
        for t, index, basis, density in self._parts:
            standard = blocks[t][index]
            if np.abs(np.diag(standard)).min() < NEAREST:
                return np.inf, np.zeros_like(theta)
            root = basis @ standard
            cov = root @ root.T
            total += density.penalty(cov)
            slopes[t][index] = 2.0 * basis.T @ density.slope(cov) @ root
        return total, np.array([slopes[t][i, j] if j >= 0 else 0.0 for t, i, j in self._elements])
