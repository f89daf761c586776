"""The hand-written stub of the compiled core names what the core has."""

import ast
from pathlib import Path

import ranef._core as core

STUB = Path(core.__file__).with_name("__init__.pyi")
COMPILED = core._module


def stub_tree():
    return ast.parse(STUB.read_text(encoding="utf-8"))


def names_of(body):
    """Names that statements of a stub declare; a plain assignment is an alias for its types."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign):
            yield node.target.id


def public(names):
    return {name for name in names if not name.startswith("_")}


def own(owner):
    """Public names of a class or module that it does not inherit or import."""
    foreign = {"annotations", "os", "import_module", "find_spec"}
    foreign |= {"Sequence", "RanefWarning", "warnings"}
    return public(vars(owner)) - foreign


def test_stub_and_loader_name_the_same():
    assert public(names_of(stub_tree().body)) == own(core)


def test_loader_passes_on_all_of_the_compiled_module():
    assert own(COMPILED) <= own(core)


def classes():
    return [node for node in stub_tree().body if isinstance(node, ast.ClassDef)]


def test_classes_have_the_members_of_the_stub():
    for node in classes():
        members = {a.targets[0].id for a in node.body if isinstance(a, ast.Assign)}
        stated = public(names_of(node.body)) | members
        assert stated == own(getattr(core, node.name)), node.name


def test_attributes_are_read_only_where_the_stub_has_properties():
    for node in classes():
        bound = vars(getattr(core, node.name))
        for name in properties(node):
            assert bound[name].fset is None, f"{node.name}.{name}"


def properties(node):
    """Names of a class's methods that the stub decorates as properties."""
    for member in node.body:
        decorators = getattr(member, "decorator_list", [])
        if "property" in {getattr(decorator, "id", "") for decorator in decorators}:
            yield member.name
