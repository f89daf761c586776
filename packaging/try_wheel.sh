#!/usr/bin/env bash
# Install a wheel where there is nothing but Python: an empty virtual environment, no compiler in
# sight, and no package built from source. Then fit a model with every variant of the core in it.
#
#   packaging/try_wheel.sh dist/ranef-*.whl
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
wheel=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
cd "$work"
bare() { env -i HOME="$work" PATH="$work/venv/bin" PIP_DISABLE_PIP_VERSION_CHECK=1 "$@"; }
for tool in cc c++ gcc g++ clang clang++ cmake ninja make; do
  if bare "$work/venv/bin/python" -c "import shutil, sys; sys.exit(not shutil.which('$tool'))"; then
    echo "$tool is on the path of the empty environment" >&2
    exit 1
  fi
done
bare pip install -q --only-binary :all: "$wheel"
bare python -I "$root/packaging/check_installed.py"
