"""A module imports only from its own layer's folder or a lower one."""

import ast
from pathlib import Path

import pytest

import ranef

ROOT = Path(ranef.__file__).parent
LAYERS = {
    "errors": 0,
    "_core": 1,
    "formula": 2,
    "design": 3,
    "models": 4,
    "inference": 5,
    "report": 6,
    "api": 7,
}
MODULES = sorted(ROOT.rglob("*.py"))


def part(module):
    """``ranef.design.build`` -> ``design``; ``ranef`` itself -> ``__init__``."""
    return [*module.split("."), "__init__"][1]


def imported_modules(source, module, is_package):
    """Every module of ranef that the source imports, at the top, in functions or for types."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "ranef")
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, module, is_package)
            if base == "ranef":  # ``from . import design`` at the top of the house
                yield from (f"ranef.{alias.name}" for alias in node.names)
            elif base.split(".")[0] == "ranef":
                yield base


def absolute(node, module, is_package):
    """The module that a ``from`` import names, with leading dots resolved."""
    if not node.level:
        return node.module
    up = node.level - 1 if is_package else node.level
    package = module.split(".")[: len(module.split(".")) - up]
    return ".".join(package + ([node.module] if node.module else []))


def violations(source, module, is_package=False):
    """Parts of ranef that the module imports and must not."""
    here = part(module)
    used = {part(name) for name in imported_modules(source, module, is_package)} - {here}
    if here in ("__init__", "__main__"):
        return set()
    if here == "datasets":
        return used - {"errors"}
    return {name for name in used if LAYERS.get(name, 99) >= LAYERS[here]}


def name_of(path):
    """``.../ranef/design/__init__.py`` -> ``ranef.design``."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down_only(path):
    source = path.read_text(encoding="utf-8")
    assert violations(source, name_of(path), path.name == "__init__.py") == set()


def test_every_part_has_a_layer():
    parts = {part(name_of(path)) for path in MODULES}
    assert parts <= {*LAYERS, "datasets", "__init__", "__main__"}


@pytest.mark.parametrize(
    ("source", "module", "found"),
    [
        ("from ranef.api import lmer", "ranef.design.build", {"api"}),
        ("from ..report import varcorr", "ranef.models.lmm", {"report"}),
        ("def f():\n    from ..api.lmer import lmer", "ranef.inference.wald", {"api"}),
        ("if TYPE_CHECKING:\n    import ranef.models.lmm", "ranef.formula.parse", {"models"}),
        ("from .. import api", "ranef.report.tables", {"api"}),
        ("from ranef import lmer", "ranef.inference.boot", {"lmer"}),
        ("from ..design import Design", "ranef.datasets.reading", {"design"}),
        ("from ..datasets import load", "ranef.api.lmer", {"datasets"}),
        ("from ..errors import DataError", "ranef.datasets.reading", set()),
        ("from ..models.lmm import fit\nimport numpy", "ranef.api.lmer", set()),
        ("from .wald import z\nfrom . import t", "ranef.inference.lrt.lrt", set()),
    ],
)
def test_the_check_sees_what_it_should(source, module, found):
    assert violations(source, module) == found


def test_the_check_resolves_dots_in_a_package():
    assert violations("from ..api import x", "ranef.design", is_package=True) == {"api"}
    assert violations("from .build import x", "ranef.design", is_package=True) == set()
