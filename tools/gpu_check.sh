#!/usr/bin/env bash
# Everything that a GPU can say of graft, on a machine with a GPU, a CUDA toolkit, CMake and Python with torch; no network. Builds, runs
# the kernels' tests on the device and whole networks beside the CPU, measures every kernel beside the card's copy speed and whole
# networks beside PyTorch, and runs the tests under compute-sanitizer, within 9 minutes on 16 cores. Each stage runs under a time limit
# and appends its lines to benchmarks/results/DATE-GPU-gpu_check.jsonl, so that none takes another's results with it.
# Usage: tools/gpu_check.sh [--stage NAME]... [--dry-run] [--no-build] [--build FOLDER] [--budget SECONDS] [--out FILE]
#          stages, in order: build tests parity kernels train infer frozen tutorial sanitizer
#        tools/gpu_check.sh --pack [--programs]     on a machine with graft's packages: gathers what the build needs beside compiler,
#          toolkit and CMake in build/deps, and the repository with it in build/graft-gpu-check.tar.gz; --programs: what this machine
#          built in build/gpu_check too, for a machine that cannot build (there: --no-build)
#        tools/gpu_check.sh --summary FILE          the table of targets of an earlier run
# --dry-run: for machines without a GPU; goes as far as it can, marks every line, measures nothing.
# PEERS_PY: the Python with torch, when it is not python3. Exit 0: all stages ran and their tests passed; targets do not count.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" = --pack ]; then
  shift
  exec "$here/gpu_check/pack.sh" "$@"
fi
exec python3 "$here/gpu_check/run.py" "$@"
