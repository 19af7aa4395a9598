#!/usr/bin/env bash
# Builds the release with the CUDA backend and the programs of tools/gpu_check.sh from scratch (a toolkit is needed, a GPU is not), fails on
# warnings and register spills, looks for code for each GPU in the program, and runs it: without a driver it must work on the CPU and say why there is
# no GPU.
# Usage: tools/check_cuda_build.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-build/cuda}
rm -rf "$folder"
options=()
if command -v ccache >/dev/null; then
  export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
  options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache)
fi
cmake --preset cuda -B "$folder" -DGRAFT_GPU_CHECK=ON -DGRAFT_WERROR=ON "${options[@]}" > /dev/null
began=$SECONDS
cmake --build "$folder" --parallel "$(nproc)" > "$folder/build_log.txt" 2>&1 || { grep -E "error|warning|FAILED" "$folder/build_log.txt" | head -n 40; exit 1; }
echo "built in $((SECONDS - began)) s"
tools/check_spills.sh "$folder/build_log.txt"
if ldd "$folder/bin/graft" | grep -E "libcuda|libcudart|libcudnn|libcublas|not found"; then
  echo "the program may not need these to start"
  exit 1
fi
tools/cuda_targets.py "$folder/bin/graft" sm_80 sm_90 sm_90:HGMMA sm_90:UTMALDG "compute_$(sed -n 's/^CMAKE_CUDA_ARCHITECTURES:.*;\([0-9]*\)-virtual$/\1/p' "$folder/CMakeCache.txt")"
"$folder/bin/graft" doctor | grep -E "^cuda +(in this build, but|cuda:0)"
"$folder/bin/graft" bench --train --model cifar_resnet20 --image-size 32 --batch 4 --iterations 2
# Without a GPU the programs of tools/gpu_check.sh skip everything and say why.
"$folder/bin/test_gpu" --gtest_brief=1 > "$folder/test_gpu_log.txt"
tail -n 1 "$folder/test_gpu_log.txt"
"$folder/bin/bench_gpu" --batch 1 --rounds 1 --only copy
