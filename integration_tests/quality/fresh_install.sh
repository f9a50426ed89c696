#!/usr/bin/env bash
# The wheel and the sdist, as `pip install beast-lp` would bring them: each in a new environment with
# the host, with what is fetched from the registry, and the tiny demo in it.
#
#     integration_tests/quality/fresh_install.sh [PYTHON_VERSION]
#
# Needs uv and a network (8 GB the first time; minutes when uv has it all in its cache).
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
version=${1:-3.11}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

uv build --quiet --out-dir "$work/dist" "$root"
cd "$work"
for package in dist/*.whl dist/*.tar.gz; do
    uv venv --quiet --clear --python "$version" lab
    # the host asks for a DALI whose registry entry is a stub; see pyproject.toml
    echo "nvidia-dali-cuda110; python_version < '0'" > overrides.txt
    VIRTUAL_ENV="$work/lab" uv pip install --quiet --override overrides.txt \
        "$package" 'lightning-pose==2.4.3' nvidia-dali-cuda120 'hydra-core<1.4'
    rm -rf demo
    env -u PYTHONPATH HF_HUB_OFFLINE=1 lab/bin/litpose beast_demo --tiny --output_dir demo \
        > demo.log 2>&1 || { tail -n 40 demo.log >&2; echo "FAILED: $package" >&2; exit 1; }
    for file in index.html pretraining/backbone/README.md pretraining/backbone/model.safetensors \
            pose_error.csv encoding/report.html segmentation/report.html; do
        [ -s "demo/$file" ] || { echo "FAILED: $package: $file is missing" >&2; exit 1; }
    done
    echo "$package: installs, and the tiny demo runs"
done
