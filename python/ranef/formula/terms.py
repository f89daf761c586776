"""The parsed formula: terms, bars and the whole, all frozen and free of data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from ..errors import UnsupportedError
from .evaluation import SAFE, Evaluation, FormulaText, like
from .shapes import HOMOGENEOUS

__all__ = [
    "Bar",
    "Factor",
    "FactorKind",
    "Formula",
    "Members",
    "Smooth",
    "Term",
    "offset_source",
    "quoted",
]


class FactorKind(Enum):
    """How a factor gets its values."""

    NAME = "name"
    PYTHON = "python"


@dataclass(frozen=True, slots=True)
class Factor:
    """One variable of a term: a column, or a Python expression of columns.

    Attributes
    ----------
    expr : str
        The column's name without backquotes, or the expression in its normal spelling.
    kind : FactorKind
        Whether ``expr`` is a column or an expression.
    """

    expr: str
    kind: FactorKind = FactorKind.NAME

    def source(self) -> str:
        """Spell the factor so that a formula can hold it."""
        if self.kind is FactorKind.NAME:
            return quoted(self.expr)
        head = self.expr.partition("(")[0]
        is_call = head.replace(".", "").isidentifier() and closes_at_end(self.expr, len(head))
        return self.expr if is_call else "{" + self.expr + "}"


@dataclass(frozen=True, slots=True)
class Term:
    """A product of factors; without factors, the intercept.

    Attributes
    ----------
    factors : tuple of Factor
        The factors, in the order written.
    scale : float
        A number that multiplies the columns, 1 unless the formula says ``2:x``.
    """

    factors: tuple[Factor, ...] = ()
    scale: float = 1.0

    @property
    def name(self) -> str:
        """Name of the term, "Intercept" for the constant."""
        if not self.factors:
            return "Intercept"
        return ":".join(f"`{f.expr}`" if is_ambiguous(f) else f.expr for f in self.factors)

    def source(self) -> str:
        """Spell the term so that a formula can hold it."""
        parts = [f.source() for f in self.factors]
        return ":".join(parts if self.scale == 1.0 else [repr(self.scale), *parts])


@dataclass(frozen=True, slots=True)
class Members:
    """Columns whose levels are one set of groups, of which a row has several.

    Attributes
    ----------
    columns : tuple of str
        The columns.
    weights : tuple of str
        A column of weights for each; none where the members of a row count alike.
    """

    columns: tuple[str, ...]
    weights: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name of the grouping factor."""
        return f"mm({', '.join(map(quoted, self.columns))})"

    def source(self) -> str:
        """Spell them so that a formula can hold them."""
        if not self.weights:
            return self.label
        return f"{self.label[:-1]}, weights=({', '.join(map(quoted, self.weights))}))"


@dataclass(frozen=True, slots=True)
class Bar:
    """One random-effects term, ``(left | group)``, nesting already expanded.

    Attributes
    ----------
    left : str
        The text on the left of the bar.
    terms : tuple of Term
        The same, parsed; includes the intercept unless it was removed.
    group : str
        Label of the grouping factor, ``a:b`` for an interaction.
    factors : tuple of str
        The columns that make up the grouping factor.
    uncorrelated : bool
        Whether it was written with two bars, so that all columns are independent.
    structure : str
        The covariance structure around it, such as ``ar1``; empty where there is none.
    homogeneous : bool
        Whether the structure has one standard deviation for all columns.
    start, stop : int
        Place in the formula's text.
    members : Members or None
        What ``mm(...)`` names; ``factors`` is then its label, which is not a column.
    """

    left: str
    terms: tuple[Term, ...]
    group: str
    factors: tuple[str, ...]
    uncorrelated: bool
    start: int = field(default=0, compare=False)
    stop: int = field(default=0, compare=False)
    structure: str = ""
    homogeneous: bool = False
    members: Members | None = None

    def source(self) -> str:
        """Spell the term so that a formula can hold it."""
        bars = "||" if self.uncorrelated else "|"
        group = ":".join(quoted(f) for f in self.factors)
        if self.members is not None:
            group = self.members.source()
        inside = f"{self.left} {bars} {group}"
        if self.structure and self.homogeneous != HOMOGENEOUS[self.structure]:
            inside += f", hom={self.homogeneous}"
        return f"{self.structure}({inside})"


@dataclass(frozen=True, slots=True)
class Smooth:
    """One smooth term as written, free of data.

    Attributes
    ----------
    kind : {"s", "te", "ti", "t2"}
        One basis, or a tensor product of one basis per variable.
    variables : tuple of Factor
        Its variables.
    by : Factor or None
        What multiplies it: numbers, or a factor that has one smooth for each level.
    bs : tuple of str
        Basis of each margin; one for ``s``.
    k : tuple of int or None
        Dimension of each margin's basis; None for the usual one.
    m : tuple of tuple of int
        Order of each margin's penalty (and of its B-splines before it); empty for the usual one.
    knots : tuple of float
        Knots, or their two ends; empty if the data determine them.
    text : str
        The call as written.
    start, stop : int
        Place in the formula's text.
    """

    kind: str
    variables: tuple[Factor, ...]
    by: Factor | None
    bs: tuple[str, ...]
    k: tuple[int | None, ...]
    m: tuple[tuple[int, ...], ...]
    knots: tuple[float, ...]
    text: str = field(compare=False)
    start: int = field(default=0, compare=False)
    stop: int = field(default=0, compare=False)

    @property
    def label(self) -> str:
        """Name of the term: the call without blanks and options."""
        names = ",".join(factor.expr.replace(" ", "") for factor in self.variables)
        return f"{self.kind}({names})"

    @property
    def factors(self) -> tuple[Factor, ...]:
        """All its variables, ``by`` included."""
        return self.variables if self.by is None else (*self.variables, self.by)

    def source(self) -> str:
        """Spell the term so that a formula can hold it."""
        return self.text


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula without data.

    Attributes
    ----------
    text : str
        The formula as written.
    response : str
        The text on the left of ``~``.
    left : Factor
        The same, parsed.
    fixed : str
        The fixed part as text, without random-effects terms and offsets.
    terms : tuple of Term
        The fixed part, parsed: the intercept first, then by the number of factors.
    random : tuple of Bar
        Random-effects terms in the order written.
    offsets : tuple of Factor
        The expressions inside ``offset()``.
    evaluation : Evaluation
        What its expressions may do.
    smooths : tuple of Smooth
        Smooth terms in the order written.
    """

    text: str
    response: str
    left: Factor
    fixed: str
    terms: tuple[Term, ...]
    random: tuple[Bar, ...] = ()
    offsets: tuple[Factor, ...] = ()
    evaluation: Evaluation = SAFE
    smooths: tuple[Smooth, ...] = ()

    def __str__(self) -> str:
        return self.text

    def without_random(self) -> Formula:
        """Return the formula without random-effects terms."""
        smooths = [smooth.source() for smooth in self.smooths]
        right = " + ".join([self.fixed, *smooths, *map(offset_source, self.offsets)])
        return replace(self, text=like(f"{self.response} ~ {right}", self), random=())

    def refuse_smooths(self, who: str, instead: str = "") -> None:
        """Raise if there are smooth terms, which ``who`` does not accept.

        ``instead`` says how to use ranef.lmer or ranef.glmer in its place.

        Raises
        ------
        UnsupportedError
            With the term and what accepts it.
        """
        if self.smooths:
            raise UnsupportedError(
                f"{self.smooths[0].text} is a smooth term, and {who} takes none; fit it by "
                f"ranef.lmer or ranef.glmer{instead and f' ({instead})'}, or write a spline of "
                "fixed effects, as in ns(x, df=5)"
            )

    def evaluated(self, evaluation: Evaluation) -> Formula:
        """Return the formula with another evaluation."""
        return replace(self, text=FormulaText(self.text, evaluation), evaluation=evaluation)


def quoted(name: str) -> str:
    """Put a column's name in backquotes if a formula needs them."""
    return name if name.replace(".", "_").isidentifier() else f"`{name}`"


def offset_source(factor: Factor) -> str:
    """Spell an offset so that a formula can hold it."""
    inner = quoted(factor.expr) if factor.kind is FactorKind.NAME else factor.expr
    return f"offset({inner})"


def is_ambiguous(factor: Factor) -> bool:
    """Return whether a name would read as an interaction."""
    return factor.kind is FactorKind.NAME and ":" in factor.expr


def closes_at_end(expr: str, opening: int) -> bool:
    """Return whether the bracket at ``opening`` is closed by the last character only."""
    depth = 0
    for i, char in enumerate(expr[opening:], opening):
        depth += (char in "([{") - (char in ")]}")
        if depth == 0:
            return i == len(expr) - 1
    return False
