import copy
import pickle
import warnings

import numpy as np
import pytest

from ranef import errors
from ranef.errors import (
    DataError,
    FitError,
    FormulaError,
    ModelError,
    NotPositiveDefiniteError,
    RanefError,
    RanefWarning,
    UnsupportedError,
)

CLASSES = [getattr(errors, name) for name in errors.__all__]
ERRORS = [cls for cls in CLASSES if issubclass(cls, Exception) and not issubclass(cls, Warning)]
WARNINGS = [cls for cls in CLASSES if issubclass(cls, Warning)]

FORMULA = FormulaError("Unbalanced parenthesis.", "y ~ x + (1 | g", start=8, stop=14)
EXAMPLES = [
    RanefError("base"),
    FORMULA,
    FormulaError("No formula."),
    DataError("No column 'dose'.", column="dose", allowed=("Dose", "y")),
    ModelError("18 levels, 18 rows."),
    UnsupportedError("No weights here."),
    NotPositiveDefiniteError("Block failed.", block=1, row=4),
    FitError("No start."),
]


def pickled(error):
    return pickle.loads(pickle.dumps(error))


def test_every_class_of_the_module_is_exported():
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert defined == set(errors.__all__)


@pytest.mark.parametrize("cls", ERRORS)
def test_errors_share_one_base(cls):
    assert issubclass(cls, RanefError)


@pytest.mark.parametrize("cls", WARNINGS)
def test_warnings_share_one_base_and_are_user_warnings(cls):
    assert issubclass(cls, RanefWarning)
    assert issubclass(cls, UserWarning)


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (FormulaError, ValueError),
        (DataError, ValueError),
        (ModelError, ValueError),
        (UnsupportedError, NotImplementedError),
        (NotPositiveDefiniteError, np.linalg.LinAlgError),
        (FitError, ArithmeticError),
    ],
)
def test_errors_are_also_what_python_users_catch(cls, builtin):
    assert issubclass(cls, builtin)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    "copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy, copy.copy]
)
def test_errors_survive_pickle_and_copy(error, copied):
    twin = copied(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)


@pytest.mark.parametrize("cls", WARNINGS)
def test_warnings_survive_pickle(cls):
    twin = pickled(cls("text"))
    assert type(twin) is cls
    assert str(twin) == "text"


def test_formula_error_underlines_the_place():
    head, blank, text, caret = str(FORMULA).split("\n")
    assert head == "Unbalanced parenthesis."
    assert blank == ""
    assert text.strip() == "y ~ x + (1 | g"
    assert [i for i, c in enumerate(caret) if c == "^"] == [text.index("(") + i for i in range(6)]


def test_formula_error_is_drawn_once_however_often_it_is_copied():
    error = FORMULA
    for _ in range(3):
        error = pickled(error)
    assert str(error).count("y ~ x") == 1
    assert (error.text, error.start, error.stop) == ("y ~ x + (1 | g", 8, 14)


def test_formula_error_marks_one_character_when_no_end_is_given():
    assert str(FormulaError("Wrong.", "y ~ + x", start=4)).count("^") == 1


def test_formula_error_marks_something_even_when_the_part_is_empty():
    assert str(FormulaError("Nothing after ~.", "y ~", start=3, stop=3)).endswith("   ^")


def test_formula_error_without_text_draws_nothing():
    assert str(FormulaError("No formula.")) == "No formula."


def test_details_are_kept():
    error = DataError("No column 'dose'.", column="dose", allowed=("Dose",))
    assert (error.column, error.allowed) == ("dose", ("Dose",))
    error = NotPositiveDefiniteError("Block failed.", block=2, row=7)
    assert (error.block, error.row) == (2, 7)


@pytest.mark.parametrize("cls", WARNINGS)
def test_warnings_can_be_silenced_by_class(cls):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RanefWarning)
        warnings.warn("text", cls, stacklevel=1)
