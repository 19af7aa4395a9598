#!/usr/bin/env bash
# Everything that a GPU can say of graft, on a machine with a GPU and Python, with torch for the peers; no network. The programs are built
# elsewhere and carried. Each stage runs under a time limit, each process of it under its own, and each line is printed and written as
# it comes, so that what hangs, dies or cannot be written takes nothing else with it.
# Usage: tools/gpu_check.sh --call 1 --out DIR                       330 s: first questions, tests, parity, own speed, PyTorch eager, wgmma
#        tools/gpu_check.sh --call 2 --after DIR/call1.tar --out DIR  330 s: what failed, again; every convolution, profile, all of PyTorch, sanitizer
#        tools/gpu_check.sh                                           both in one
#          [--stage NAME]... [--peers none|eager|all] [--programs FOLDER] [--build] [--budget SECONDS] [--dry-run]
#          stages: build contact tests again parity speed kernels peers shapes profile sanitizer wgmma
#        tools/gpu_check.sh --pack [--programs FOLDER | --sources]   on a machine with a CUDA toolkit: what to carry (tools/gpu_check/pack.sh)
#        tools/gpu_check.sh --summary FILE                            the tables of an earlier run
# DIR: where results, logs and lists go: one tar of at most eight files at the end, those files while it runs. --build: builds the programs on
# the GPU machine, which then needs compiler, CMake and toolkit. --dry-run: for machines without a GPU; goes as far as it can, marks
# every line, measures nothing. PEERS_PY: the Python with torch, when it is not python3.
# Exit 0: all stages ran, their tests passed, cuDNN and cuBLASLt were found and everything was written; targets do not count. 4: no GPU.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" = --pack ]; then
  shift
  exec "$here/gpu_check/pack.sh" "$@"
fi
exec python3 -B "$here/gpu_check/run.py" "$@"
