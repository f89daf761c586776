"""Effects of a treatment through a mediator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..mediation.paths import Question
from ..mediation.result import Mediation
from ..mediation.run import mediation
from ..words.answers import answering

__all__ = ["mediate"]


@answering
def mediate(
    mediator_model: Any,
    outcome_model: Any,
    *,
    treatment: str,
    mediator_name: str,
    contrast: Sequence[Any] | None = None,
    at: Mapping[str, Any] | None = None,
    part: Literal["within", "between"] | None = None,
    joint: bool = False,
    method: Literal["montecarlo", "bootstrap"] = "montecarlo",
    draws: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Mediation:
    """Split the effect of a treatment into a part through a mediator and the rest.

    Parameters
    ----------
    mediator_model : model
        The mediator on the treatment and covariates: a fit of lmer, glmer, gls, feols or
        within_between. A mediator at the group level is fitted to one row per group by feols.
    outcome_model : model
        The outcome on mediator, treatment and covariates.
    treatment, mediator_name : str
        Columns of the outcome's data.
    contrast : (control, treatment), optional
        Values that are compared. By default 0 and 1, or the mean and one more if these do not
        occur; of two levels, the first and the second.
    at : mapping of str to value, optional
        Values of moderators; without, effects are averaged over the rows.
    part : {"within", "between"}, optional
        With models by within_between, the part of the mediator that is asked for; both by default.
    joint : bool
        Fit both models as one, so that the covariance of random slopes a_j, b_j is estimated and
        counts as indirect.
    method : {"montecarlo", "bootstrap"}
        Intervals from draws of the coefficients, or from groups drawn with replacement and refits.
    draws : int, optional
        Draws or resamples: by default 20,000 for linear models, else 1,000.
    seed : int, optional
        Makes the draws repeatable, with any number of workers.
    workers : int, optional
        Threads of the bootstrap; one for each core by default.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Mediation
        ``table()``, ``draws``, ``plot()``.

    Raises
    ------
    ValueError
        If a model does not use treatment or mediator, or the mediator's model is for another
        variable, or for the same one in other units.
    DataError
        If the part asked for does not exist: a mediator that is constant within groups has no
        effect within them.
    UnsupportedError
        If the outcome is not linear in the mediator.

    Notes
    -----
    With linear models without interactions indirect = a b, and direct is the treatment's
    coefficient. In general the effects are differences of mean outcomes under treatment t and the
    mediator as under treatment s [1]_: indirect(t) = E Y(t, M(1)) - E Y(t, M(0)),
    direct(s) = E Y(1, M(s)) - E Y(0, M(s)), averaged over rows and, where a link is not the
    identity, over random effects. ``indirect`` and ``direct`` are means over control and treatment,
    and add up to ``total``. Random effects of the two models are taken as independent, except with
    ``joint=True`` [2]_, where indirect = a b + cov(a_j, b_j) [3]_. Draws are normal, about the
    estimates, independent between the models [4]_; variances are held. On effects within and
    between groups see [5]_.

    References
    ----------
    .. [1] Imai, Keele and Tingley (2010), Psychol. Methods 15(4), 309-334.
    .. [2] Bauer, Preacher and Gil (2006), Psychol. Methods 11(2), 142-163.
    .. [3] Kenny, Korchmaros and Bolger (2003), Psychol. Methods 8(2), 115-128.
    .. [4] MacKinnon, Lockwood and Williams (2004), Multivar. Behav. Res. 39(1), 99-128.
    .. [5] Zhang, Zyphur and Preacher (2009), Organ. Res. Methods 12(4), 695-719.

    Examples
    --------
    >>> import ranef
    >>> gpa = ranef.datasets.load("gpa_sim")
    >>> gpa["hours"] = gpa["job"].str.replace("no job", "0").str[0].astype(int)
    >>> hours = ranef.lmer("hours ~ occasion + (1 | student)", gpa)
    >>> outcome = ranef.lmer("gpa ~ hours + occasion + (1 | student)", gpa)
    >>> effects = ranef.mediate(
    ...     hours, outcome, treatment="occasion", mediator_name="hours", seed=1
    ... )
    >>> list(effects.table().index)
    ['a', 'b', 'indirect', 'direct', 'total', 'proportion']
    """
    question = Question(
        treatment,
        mediator_name,
        None if contrast is None else tuple(contrast),
        at,
        part,
        joint,
    )
    return mediation(
        mediator_model,
        outcome_model,
        question,
        method=method,
        draws=draws,
        seed=seed,
        workers=workers,
        progress=progress,
    )
