"""``python -m ranef`` prints what the README shows of it."""

import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_python_m_ranef_prints_the_summary_of_the_readme():
    command = [sys.executable, "-W", "error", "-m", "ranef"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    shown = README.read_text(encoding="utf-8").split("<!-- summary -->\n```text\n")[1]
    assert printed.startswith(shown.split("```")[0])
