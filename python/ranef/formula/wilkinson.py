"""Terms without a bar, by formulaic's grammar."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from formulaic.errors import FormulaicError
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.types import Factor as FormulaicFactor
from formulaic.parser.types import Term as FormulaicTerm
from formulaic.parser.types import Token

from ..errors import FormulaError
from .expansion import Bounded
from .terms import Factor, FactorKind, Term
from .tokens import Kind, Piece, plain_message

__all__ = ["to_factor", "to_terms"]

PARSER = DefaultFormulaParser(operator_resolver=Bounded())
KINDS = {
    Kind.NAME: Token.Kind.NAME,
    Kind.PYTHON: Token.Kind.PYTHON,
    Kind.VALUE: Token.Kind.VALUE,
    Kind.OPERATOR: Token.Kind.OPERATOR,
    Kind.OPEN: Token.Kind.CONTEXT,
    Kind.CLOSE: Token.Kind.CONTEXT,
}
ONE = Token("1", kind=Token.Kind.VALUE)
PLUS = Token("+", kind=Token.Kind.OPERATOR)
MINUS = Token("-", kind=Token.Kind.OPERATOR)


def to_terms(parts: Sequence[Piece], text: str, *, intercept: bool = True) -> tuple[Term, ...]:
    """Expand a sum of products into terms, fewest factors first.

    Parameters
    ----------
    parts : sequence of Piece
        Pieces in which operators are known to fit.
    text : str
        The whole formula, for messages.
    intercept : bool
        Whether the intercept is implied.
    """
    terms = plain_sum(parts, intercept)
    if terms is None:
        terms = general_sum(parts, text, intercept)
    return tuple(sorted(terms, key=lambda term: len(term.factors)))


def plain_sum(parts: Sequence[Piece], intercept: bool) -> list[Term] | None:
    """Expand a sum of single factors; None if there is more to it."""
    terms: dict[Term, None] = {Term(): None} if intercept else {}
    adds = True
    for piece in parts:
        if piece.kind is Kind.OPERATOR and piece.text in "+-":
            adds = adds == (piece.text == "+")
            continue
        if piece.kind is Kind.VALUE and piece.text in ("0", "1"):
            term, adds = Term(), adds == (piece.text == "1")
        elif piece.kind in (Kind.NAME, Kind.PYTHON):
            term = Term((to_factor(piece),))
        else:
            return None
        if adds:
            terms[term] = None
        else:
            terms.pop(term, None)
        adds = True
    return list(terms)


def general_sum(parts: Sequence[Piece], text: str, intercept: bool) -> list[Term]:
    """Let formulaic expand the operators."""
    tokens = list(stream(parts, text, intercept))
    try:
        tree = PARSER.get_ast_from_tokens(tokens, context={})
        found = [] if tree is None else [convert(t) for t in tree.to_terms(context={})]
    except (FormulaicError, AttributeError, TypeError, ValueError, SyntaxError) as error:
        raise FormulaError(plain_message(error), text, parts[0].start, parts[-1].stop) from None
    distinct = {frozenset(term.factors): term for term in reversed(found)}
    scales = {term: distinct[frozenset(term.factors)].scale for term in found}
    if any(t.scale != s or (not t.factors and s != 1.0) for t, s in scales.items()):
        message = "a number may only scale a term, as in 2:x, and each term by one number"
        raise FormulaError(message, text, parts[0].start, parts[-1].stop)
    return [term for term in found if distinct[frozenset(term.factors)] is term]


def stream(parts: Sequence[Piece], text: str, intercept: bool) -> Iterable[Token]:
    """Yield formulaic's tokens, the intercept put in front and 0 read as -1."""
    held: Token | None = None
    if intercept:
        yield ONE
        held = PLUS
    for piece in parts:
        if piece.kind is Kind.OPERATOR and piece.text in "+-":
            held = MINUS if (held is MINUS) != (piece.text == "-") else PLUS
            continue
        if piece.kind is Kind.VALUE and piece.text == "0":
            yield PLUS if held is MINUS else MINUS
            yield ONE
        else:
            if held is not None:
                yield held
            yield token(piece)
        held = None


def token(piece: Piece) -> Token:
    """Turn a piece into formulaic's token."""
    return Token(piece.text, kind=KINDS[piece.kind])


def to_factor(piece: Piece) -> Factor:
    """Turn a single operand into a factor."""
    kind = FactorKind.NAME if piece.kind is Kind.NAME else FactorKind.PYTHON
    return Factor(piece.text, kind)


def convert(term: FormulaicTerm) -> Term:
    """Turn formulaic's term into ours."""
    factors, scale = [], 1.0
    for factor in term.factors:
        if factor.eval_method is FormulaicFactor.EvalMethod.LITERAL:
            scale *= ast.literal_eval(factor.expr)
        else:
            is_name = factor.eval_method is FormulaicFactor.EvalMethod.LOOKUP
            factors.append(Factor(factor.expr, FactorKind.NAME if is_name else FactorKind.PYTHON))
    return Term(tuple(factors), scale)
