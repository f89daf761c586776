"""Parts of a marginal R² by terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..comparison.commonality import PartR2, blocks_of, part_table
from ..errors import ModelError
from ..fitted.kinds import check_mixed
from ..words.answers import answering

__all__ = ["part_r2"]


@answering
def part_r2(
    model: Any,
    terms: Iterable[str] | Mapping[str, Iterable[str]] | None = None,
    *,
    method: str = "lognormal",
    limit: int = 300,
    progress: bool = True,
) -> PartR2:
    """Divide the marginal R² of a mixed model among its terms, by fits without them.

    Parameters
    ----------
    model : LinearMixedModel or GeneralizedLinearMixedModel
        The model with all terms.
    terms : iterable of str, or mapping of str to iterables, optional
        Terms, or blocks of terms that enter together, as a predictor and its products must; all
        terms by default.
    method : {"lognormal", "trigamma", "delta"}
        Scale of a generalised model, as in ``model.r2``.
    limit : int
        Models that are fitted at most: two to the power of the blocks.
    progress : bool
        Whether to show a progress bar when it takes longer than a second.

    Returns
    -------
    PartR2
        ``table`` with part, alone, shared and average of each block; ``commonality``; ``whole``.

    Raises
    ------
    ModelError
        If there are more sets than ``limit``, or a block needs another.

    Notes
    -----
    The part of a block is the R² that is lost without it [1]_; what it shares with others is in its
    R² alone, but not in its part. Averages over all orders of entering add up, and so do
    commonalities [2]_. A slope that is left out of the fixed part goes into the random one if it is
    there, so keep random slopes few.

    References
    ----------
    .. [1] Stoffel, Nakagawa and Schielzeth (2021), PeerJ 9, e11414.
    .. [2] Nimon, Lewis, Kane and Haynes (2008), Behav. Res. Methods 40, 457-466.

    Examples
    --------
    >>> import ranef
    >>> cake = ranef.datasets.load("cake")
    >>> model = ranef.lmer("angle ~ recipe + temp + (1 | recipe:replicate)", cake)
    >>> ranef.part_r2(model).table["part"].round(3).tolist()
    [0.004, 0.104]
    """
    check_mixed(model, "part_r2", generalised=True)
    blocks = blocks_of(model, terms)
    if 1 << len(blocks) > limit:
        raise ModelError(
            f"{len(blocks)} blocks make {1 << len(blocks):,} models, more than limit={limit:,}; "
            "gather terms into blocks, or raise limit"
        )
    return part_table(model, blocks, method, progress)
