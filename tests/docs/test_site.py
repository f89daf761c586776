"""The site in a browser: a page with its text, its figures and its tables."""

import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Seen(HTMLParser):
    """Images, headings and text of a page."""

    def __init__(self):
        super().__init__()
        self.images, self.text = [], []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs)["src"])

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder of the built site: that of RANEF_SITE, or one built here if asked for."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    if built := os.environ.get("RANEF_SITE"):
        return Path(built)
    if not os.environ.get("RANEF_BROWSER"):
        pytest.skip("set RANEF_SITE to a built site, or RANEF_BROWSER=1 to build it: a minute")
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        check=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        timeout=900,
    )
    return folder


def opened(site, page):
    """Open a page in a browser and return what is then in it."""
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=4000",
            "--dump-dom",
            (site / page).as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    found = Seen()
    found.feed(done.stdout)
    return found, " ".join(" ".join(found.text).split())


def test_pages_open_in_a_browser_with_their_figures(site):
    for page, words in (
        ("index.html", "data that come in groups"),
        ("issues/fixed-or-random.html", "these particular groups"),
        ("benchmarks.html", "(1 | a) + (1 | b)"),
    ):
        seen, text = opened(site, page)
        assert words in text
        assert "<BLANKLINE>" not in text
        assert "\\|" not in text
        figures = [source for source in seen.images if "figures/" in source]
        assert all(((site / page).parent / source).resolve().is_file() for source in figures)
        assert figures or page == "benchmarks.html"


def test_the_reference_has_every_public_function(site):
    import ranef

    _, text = opened(site, "reference/functions.html")
    functions = [n for n in ranef.__all__ if n.islower() and n not in ("datasets", "errors")]
    assert [name for name in functions if name not in text] == []
