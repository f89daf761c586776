"""A module imports only from its own room or from a lower floor, and never in a circle."""

import ast
from pathlib import Path

import pytest

import ranef

ROOT = Path(ranef.__file__).parent
#: The floor of each room. Rooms on one floor do not know each other.
LAYERS = {
    "errors": 0,
    "_typing": 0,
    "_options": 0,
    "_importing": 0,
    "_html": 0,
    "_caller": 0,
    "_counted": 0,
    "_number": 0,
    "_core": 1,
    "parallel": 1,
    "words": 1,
    "datasets": 1,
    "formula": 2,
    "design": 3,
    "families": 4,
    "chunks": 4,
    "models": 5,
    "inference": 6,
    "report": 7,
    "fitted": 8,
    "batch": 9,
    "comparison": 9,
    "trust": 9,
    "marginal": 9,
    "missing": 9,
    "learners": 9,
    "mediation": 9,
    "study": 10,
    "api": 11,
    "cli": 12,
    "sklearn": 12,
}

#: Files of Python that a folder may hold, and lines that all of `api` may have.
MOST_FILES = 30
MOST_API_LINES = 6_000

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
    return {name for name in used if LAYERS.get(name, 99) >= LAYERS[here]}


def name_of(path):
    """``.../ranef/design/__init__.py`` -> ``ranef.design``."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down_only(path):
    source = path.read_text(encoding="utf-8")
    assert violations(source, name_of(path), path.name == "__init__.py") == set()


def module_graph():
    """Every module with the modules it imports, at the top, in functions or for types."""
    names = {name_of(path) for path in MODULES}
    graph = {}
    for path in MODULES:
        source, here = path.read_text(encoding="utf-8"), name_of(path)
        found = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                base = absolute(node, here, path.name == "__init__.py")
                inner = {f"{base}.{alias.name}" for alias in node.names}
                found |= {name if name in names else base for name in inner}
        graph[here] = (found & names) - {here}
    return graph


def circle(graph):
    """A path that comes back to where it began; empty if there is none."""
    done, path = set(), []

    def walk(name):
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return []
        path.append(name)
        for other in sorted(graph.get(name, ())):
            if found := walk(other):
                return found
        path.pop()
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := walk(name))), [])


def test_no_module_imports_itself_by_way_of_others():
    graph = module_graph()
    graph.pop("ranef.__init__", None)
    assert circle(graph) == []


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_folder_is_a_heap_of_files():
    sizes = {path.parent: 0 for path in MODULES}
    for path in MODULES:
        sizes[path.parent] += path.name != "__init__.py"
    api = sizes.pop(ROOT / "api")
    assert max(sizes.values()) <= MOST_FILES
    assert api == len(list((ROOT / "api").glob("*.py"))) - 1


def test_the_api_is_thin_and_a_file_is_named_after_its_function():
    lines = 0
    for path in (ROOT / "api").glob("[!_]*.py"):
        source = path.read_text(encoding="utf-8")
        lines += source.count("\n")
        body = ast.parse(source).body
        functions = {node.name for node in body if isinstance(node, ast.FunctionDef)}
        assert functions == {path.stem}
        assert not [node for node in body if isinstance(node, ast.ClassDef)]
        assert hasattr(ranef, path.stem)
    assert lines < MOST_API_LINES


def test_every_part_has_a_layer():
    parts = {part(name_of(path)) for path in MODULES}
    assert parts == {*LAYERS, "__init__", "__main__"}


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
        ("from ..datasets import load", "ranef.api.lmer", set()),
        ("from ..comparison.models import x", "ranef.batch.parts", {"comparison"}),
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
