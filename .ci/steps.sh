# What .ci/run and .ci/full share: a temporary folder with a copy of the tree and its own virtual environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s (after %s s)\n' "$1" "$SECONDS"; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
# the working tree without what git ignores, so that no earlier build is picked up
git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -cf - | tar -xf - -C "$work/src"
cd "$work/src"
"${PYTHON:-python3}" -m venv "$work/venv"
. "$work/venv/bin/activate"
export PIP_DISABLE_PIP_VERSION_CHECK=1

# configure FOLDER OPTION...: a build outside pip, for sanitizers
configure() {
  local folder=$1
  shift
  pip install -q cmake ninja 'pybind11>=3'
  cmake -S . -B "$folder" -G Ninja -DPython_EXECUTABLE="$work/venv/bin/python" \
    -Dpybind11_DIR="$(python -m pybind11 --cmakedir)" "$@"
}
