"""Growth curves of classes that are not observed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from .._typing import Missing, Shape
from ..comparison.mixtures import MixtureComparison, compare_classes
from ..fitted.mixture.call import MixtureCall, checked_call, whole
from ..fitted.mixture.model import GrowthMixture, fit_model
from ..words.answers import answering

__all__ = ["growth_mixture"]


@answering
def growth_mixture(
    outcome: str,
    data: Any,
    *,
    time: str,
    groups: str,
    classes: int | Sequence[int] = 2,
    shape: Shape = "linear",
    random: Literal["none", "intercept", "linear", "quadratic"] = "none",
    variances: Literal["free", "equal"] = "free",
    family: Literal["gaussian", "poisson"] = "gaussian",
    starts: int = 50,
    missing: Missing = "drop",
    seed: int | None = 1,
    workers: int | None = None,
    progress: bool = True,
) -> GrowthMixture | MixtureComparison:
    """Fit a mixture of growth curves: each group belongs to one of several unobserved classes.

    Parameters
    ----------
    outcome : str
        The column that grows, or an expression such as ``"np.log(y)"``.
    data : DataFrame
        Long data, one row per occasion.
    time : str
        A numeric column.
    groups : str
        The column that identifies the units; all rows of a unit are in the same class.
    classes : int or sequence of int
        Number of classes; several numbers give a comparison.
    shape : {"linear", "quadratic", "intercept"}
        The curve of each class.
    random : {"none", "intercept", "linear", "quadratic"}
        Which factors vary between the groups of a class, with a normal distribution.
    variances : {"free", "equal"}
        Whether each class has its own residual and random-effects variances, or all share them.
    family : {"gaussian", "poisson"}
        Distribution of the outcome; counts have a curve on the logarithmic scale.
    starts : int
        Searches from different starts; the best optimum is reported, and how often it was found.
    missing : {"drop", "raise"}
        What to do with rows that have missing values.
    seed : int, optional
        Makes the starts repeatable; None draws new ones each time.
    workers : int, optional
        Threads; one for each core by default.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    GrowthMixture, or MixtureComparison for several numbers of classes

    Raises
    ------
    DataError
        If a time occurs twice in a group, or a response is not of the family.
    ModelError
        If no start kept all classes, or there are not enough groups or times.

    Warns
    -----
    ConvergenceWarning
        If only one start reached the best optimum.

    Notes
    -----
    The likelihood is that of groups: sum over groups of log sum_k pi_k f_k(y_g), with f_k the
    normal density of a growth curve, or a product of Poisson probabilities. It is maximised by EM
    with squared extrapolation [1]_ from every start, half of them random partitions, half of
    them clusters around curves that are far apart. With its own variances a class of a few groups
    that lie on one curve makes the likelihood grow without bound [2]_: starts that end there, or in
    a class of a single group, are counted as degenerate and never reported. BIC counts rows.

    References
    ----------
    .. [1] Varadhan and Roland (2008), Scand. J. Stat. 35(2), 335-353.
    .. [2] McLachlan and Peel (2000), Finite Mixture Models, section 3.8.

    Examples
    --------
    >>> import ranef
    >>> gpa = ranef.datasets.load("gpa_sim")
    >>> model = ranef.growth_mixture(
    ...     "gpa", gpa, time="occasion", groups="student", random="intercept"
    ... )
    >>> model.shares.round(2).to_list()
    [0.65, 0.35]
    """
    several = not isinstance(classes, int) and hasattr(classes, "__iter__")
    numbers = [whole("classes", k) for k in classes] if several else []  # type: ignore[union-attr]
    call = checked_call(
        MixtureCall(
            outcome=outcome,
            time=time,
            groups=groups,
            classes=max(numbers, default=1) if several else classes,  # type: ignore[arg-type]
            shape=shape,
            random=random,
            variances=variances,
            family=family,
            starts=starts,
            missing=missing,
            seed=seed,
        )
    )
    if several:
        return compare_classes(call, data, numbers, workers, progress=progress)
    return fit_model(call, data, workers, progress=progress)
