"""Fit a model with each variant of the core that is installed; compare with lme4's figures.

Run outside the source tree: ``python packaging/check_installed.py``. Needs ranef alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

FIT = """
import ranef
from ranef import _core
model = ranef.lmer("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
# lme4 1.1-35: REML criterion 1743.628, fixed effects 251.405 and 10.467
assert abs(model.llf + 1743.628271958491 / 2) < 1e-6, model.llf
assert abs(model.params["Days"] - 10.467285959595761) < 1e-6, model.params
print(ranef.__version__, _core.isa, _core.simd, round(float(model.llf), 4))
"""


def installed() -> list[str]:
    """Return the variants in the installation that this processor runs."""
    cpu = __import__("ranef._core._cpu", fromlist=["supports_x86_64_v3"])
    runs = ["baseline", "x86_64_v3"] if cpu.supports_x86_64_v3() else ["baseline"]
    return [name for name in runs if find_spec(f"ranef._core._{name}")]


def main() -> int:
    """Check every variant, and that a wrong name is refused."""
    variants = installed()
    for name in variants:
        subprocess.run(
            [sys.executable, "-c", FIT], env={**os.environ, "RANEF_ISA": name}, check=True
        )
    wrong = {**os.environ, "RANEF_ISA": "none_such"}
    done = subprocess.run(
        [sys.executable, "-c", FIT], env=wrong, capture_output=True, text=True, check=False
    )
    if done.returncode == 0 or "names a variant" not in done.stderr:
        print("RANEF_ISA=none_such was not refused", file=sys.stderr)
        return 1
    return 0 if variants else 1


if __name__ == "__main__":
    sys.exit(main())
