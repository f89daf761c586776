"""What keeps the build short: groups of files, and decompositions that are compiled once."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("cpp/src/*.cpp")}
CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
GROUPS = {
    name: files.split() for name, files in re.findall(r"^ranef_group\((\w+)([^)]*)\)", CMAKE, re.M)
}
# At the start of a line: a constant, a type or an alias that a file keeps to itself.
OWN = re.compile(r"^(?:constexpr [\w:<>]+|struct|class|using) (\w+)(?= =|\{|\[| \{| final)", re.M)
FUNCTION = re.compile(r"^[\w:<>&*, ]+? (\w+)\(([^;{}()]*)\) \{", re.M)
NAME = re.compile(r"[\s&*]*\b\w+$")  # of an argument, behind its type
OF_EXPRESSION = re.compile(
    r"(?:SelfAdjointEigenSolver|LLT|LDLT)<Matrix> \w+\((?!Matrix\()[^;]*(?:[-+*]|\.\w+\(\))[^;]*\);"
)


def test_every_source_is_in_one_group_but_the_instances():
    grouped = list(chain.from_iterable(GROUPS.values()))
    assert sorted(grouped) == sorted(set(SOURCES) - {"eigen"})


def own_names(text: str) -> set[str]:
    """What a file defines at the start of a line; of a function with the types of its arguments."""
    functions = {
        f"{name}({', '.join(NAME.sub('', part.strip()) for part in arguments.split(','))})"
        for name, arguments in FUNCTION.findall(text)
    }
    return set(OWN.findall(text)) | functions


@pytest.mark.parametrize("group", GROUPS)
def test_files_of_a_group_share_no_name(group):
    owner: dict[str, str] = {}
    for name in GROUPS[group]:
        for own in own_names(SOURCES[name]) - {"Small", "Short"}:  # the same in both
            assert own not in owner, f"{own}: in {name}.cpp and {owner[own]}.cpp of group {group}"
            owner[own] = name


def test_decompositions_are_of_a_matrix():
    # Of an expression a compiler makes the whole decomposition once more, in every such file.
    assert {
        name: found for name, text in SOURCES.items() if (found := OF_EXPRESSION.findall(text))
    } == {}


def test_the_checks_see_what_they_look_for():
    assert OF_EXPRESSION.search("Eigen::LLT<Matrix> llt(A * B);")
    assert OF_EXPRESSION.search("const Eigen::SelfAdjointEigenSolver<Matrix> e(B.transpose());")
    assert not OF_EXPRESSION.search("const Eigen::SelfAdjointEigenSolver<Matrix> e(Matrix(A * B));")
    assert not OF_EXPRESSION.search("const Eigen::LLT<Matrix> llt(cov_beta);")
    text = "constexpr Index kOne = 1;\nstruct Two {\nusing Three = int;\nstruct Glmm::Level {\n"
    assert own_names(text) == {"kOne", "Two", "Three"}
    text = "Matrix half(const Matrix& A, Index k) {\nVector Glmm::eta() const {\n"
    assert own_names(text) == {"half(const Matrix, Index)"}
