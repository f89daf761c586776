"""What the site has besides its pages: figures, the reference, the gallery, a text for machines.

A comment ``<!-- words: lme4 -->`` stands for the table of a program's words and ours, and
``<!-- figure: caption -->`` after a block of code for the figure that the block draws. The blocks
of a page with such figures run when the site is built, so that each is that of the code above it.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
from blocks import run

#: Code in tables, where Markdown elsewhere needs a backslash before a bar.
TABLE_CODE = re.compile(r"(?<=[^`])`[^`\n]*\\\|[^`\n]*`(?=[^`])")
FIGURE = re.compile(r"<!-- figure: (?P<caption>.*?) -->", re.DOTALL)
WORDS = re.compile(r"<!-- words: (?P<owners>.*?) -->")
FENCE = re.compile(r"^```(?:python|pycon)\n.*?^```$", re.DOTALL | re.MULTILINE)
#: Pages that run for what they print, figures or none.
SHOWN = ("tour.md", "tutorials/", "issues/", "coming-from/")
#: Pages of the reference, and which public names each holds.
KINDS = {
    "functions": "Functions",
    "models": "Models",
    "results": "Results",
    "priors": "Priors and settings",
    "errors": "Errors and warnings",
}
PRIORS = {"Control", "CrossProducts", "Gamma", "HalfT", "InverseGamma", "InverseWishart", "LKJ"}
PRIORS |= {"Normal", "Point", "Precision", "Wishart"}

Drawn = list[tuple[str, str, str]]  # address of the figure, caption, code
_rewritten: dict[str, str] = {}


def on_files(files: Files, config: Any) -> Files:
    """Add what is made when the site is built."""
    _rewritten.clear()
    shown: list[tuple[str, str, Drawn]] = []
    for file in list(files.documentation_pages()):
        text = Path(file.abs_src_path or "").read_text(encoding="utf-8")
        if FIGURE.search(text) or file.src_uri.startswith(SHOWN):
            drawn, _rewritten[file.src_uri] = illustrated(file.src_uri, text, files, config)
            if drawn:
                shown.append((file.src_uri, title_of(text), drawn))
    files.append(File.generated(config, "gallery.md", content=gallery(shown)))
    for name, content in reference().items():
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    files.append(File.generated(config, "llms.txt", content=for_machines(files)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Put the figures in, and take the comments out."""
    text = _rewritten.get(page.file.src_uri, markdown)
    text = WORDS.sub(lambda match: words_of(match["owners"].split()), text)
    text = text.replace("<BLANKLINE>", "")
    text = TABLE_CODE.sub(lambda match: match.group().replace(r"\|", "|"), text)
    return re.sub(r"<!-- (?:ci|before|smaller):.*?-->\n?", "", text, flags=re.DOTALL)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Turn what docstrings have of reStructuredText into plain text."""
    return re.sub(r"\[(\d)\]_", r"[\1]", re.sub(r":(?:func|class|meth|mod):(?=<code>)", "", html))


def illustrated(uri: str, text: str, files: Files, config: Any) -> tuple[Drawn, str]:
    """Run a page, and write its figures where their comments are."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.close("all")
    at = list(FIGURE.finditer(text))
    images: dict[int, bytes] = {}
    outputs: dict[int, str] = {}

    def after(end: int, printed: str) -> None:
        if printed.strip():
            outputs[end] = f"\n\n```text\n{printed.rstrip()}\n```"
        following = [i for i, m in enumerate(at) if m.start() >= end]
        numbers = plt.get_fignums()
        if following and numbers:
            buffer = io.BytesIO()
            plt.figure(numbers[-1]).savefig(buffer, format="svg", bbox_inches="tight")
            images[following[0]] = buffer.getvalue()
        plt.close("all")

    place = tempfile.TemporaryDirectory()
    with warnings.catch_warnings(), place, contextlib.chdir(place.name):
        warnings.simplefilter("ignore")
        _, wrong = run(text, uri, {"__name__": "__main__"}, after)
    if wrong:
        raise RuntimeError(f"{uri}: {''.join(wrong)}")
    for end in sorted(outputs, reverse=True):
        text = text[:end] + outputs[end] + text[end:]
    at = list(FIGURE.finditer(text))
    drawn: Drawn = []
    up = "../" * uri.count("/")

    def image(match: re.Match[str]) -> str:
        place = at.index(next(m for m in at if m.start() == match.start()))
        if place not in images:
            raise RuntimeError(f"{uri}: no figure was drawn for {match['caption']!r}")
        address = f"figures/{uri.removesuffix('.md').replace('/', '-')}-{place + 1}.svg"
        files.append(File.generated(config, address, content=images[place]))
        caption = " ".join(match["caption"].split())
        code = [m.group() for m in FENCE.finditer(text, 0, match.start())][-1]
        drawn.append((address, caption, code))
        return f"![{caption}]({up}{address})\n\n*{caption}*"

    return drawn, FIGURE.sub(image, text)


def words_of(owners: list[str]) -> str:
    """Return a table of other programs' words and ours."""
    from ranef.words.foreign import MODEL, MODULE

    known = {**MODEL, **MODULE}
    lines = [
        f"| `{word}` | {owner} | {ours if ' ' in ours.split('(')[0] else f'`{ours}`'} |"
        for word, (owner, ours) in sorted(known.items(), key=lambda item: item[0].lower())
        if any(name in owner.split() for name in owners)
    ]
    if not lines:
        raise RuntimeError(f"no words of {owners} are known")
    return "| word | of | here |\n|---|---|---|\n" + "\n".join(lines)


def title_of(text: str) -> str:
    """Return the first heading of a page."""
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return found[1] if found else ""


def gallery(shown: list[tuple[str, str, Drawn]]) -> str:
    """Show every figure with the code that draws it."""
    parts = ["# Gallery\n\nEvery figure of these pages, with the code that draws it.\n"]
    for uri, title, drawn in sorted(shown):
        parts.append(f"## {title}\n\n[The page]({uri})\n")
        parts += [
            f"![{caption}]({address})\n*{caption}*\n\n{code}\n" for address, caption, code in drawn
        ]
    return "\n".join(parts)


def reference() -> dict[str, str]:
    """Return a page of the reference for each kind of public name."""
    import ranef

    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name in sorted(ranef.__all__):
        if name != "datasets":
            found[kind_of(name, getattr(ranef, name))].append(name)
    pages = {
        kind: f"# {title}\n\n" + "\n\n".join(f"::: {place_of(name)}" for name in found[kind]) + "\n"
        for kind, title in KINDS.items()
    }
    listed = "\n".join(
        f"* [{title}]({kind}.md): {', '.join(f'`{name}`' for name in found[kind])}"
        for kind, title in KINDS.items()
    )
    pages["index"] = f"# Reference\n\nEvery public name of `ranef`.\n\n{listed}\n"
    return pages


def kind_of(name: str, value: Any) -> str:
    """Tell functions, models, results, priors and errors apart."""
    if not inspect.isclass(value):
        return "functions"
    if issubclass(value, Exception):
        return "errors"
    if name in PRIORS:
        return "priors"
    is_model = name.endswith("Model") or name in ("RandomEffectsGLS", "Posterior")
    return "models" if is_model else "results"


def place_of(name: str) -> str:
    """Name the module that defines a public name, where the reader of the sources finds it."""
    import ranef

    value = getattr(ranef, name)
    return f"{value.__module__}.{value.__qualname__}"


def for_machines(files: Files) -> str:
    """List the pages, as language models look for them."""
    lines = ["# ranef", "", "> Mixed-effects models for Python, with a C++ core", ""]
    for file in files.documentation_pages():
        if file.abs_src_path:
            title = title_of(Path(file.abs_src_path).read_text(encoding="utf-8"))
            lines.append(f"- [{title}]({file.dest_uri})")
    return "\n".join(lines) + "\n"
