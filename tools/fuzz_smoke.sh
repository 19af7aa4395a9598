#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs each for SECONDS from its seeds; exit 1 when any of them finds something.
# Usage: tools/fuzz_smoke.sh [SECONDS] [TARGET...]     (default: 10 seconds, all targets)
# What is found lies in build/fuzz/found/; replay it with: build/fuzz/fuzz/fuzz_TARGET FILE
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-10}
shift || true

clang=${GRAFT_CLANG:-}
for candidate in clang++ clang++-14 clang++-18; do
  [ -n "$clang" ] || clang=$(command -v "$candidate" || true)
done
[ -n "$clang" ] || { echo "clang++ is needed: apt-get install clang libclang-rt-14-dev (Debian 12) or clang libclang-rt-18-dev (Ubuntu 24.04)" >&2; exit 2; }

options=()
[ -f build/fuzz/CMakeCache.txt ] || options+=(-DCMAKE_CXX_COMPILER="$clang")
if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
cmake -S . -B build/fuzz -G Ninja -DGRAFT_BUILD_FUZZERS=ON -DGRAFT_BUILD_TOOLS=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  "${options[@]}" >/dev/null
cmake --build build/fuzz --target fuzzers --parallel "$(nproc)" >build/fuzz/build.txt || { tail -n 30 build/fuzz/build.txt >&2; exit 1; }

found=build/fuzz/found
mkdir -p "$found" build/fuzz/corpus build/fuzz/log
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for source in tests/fuzz/*.cpp; do targets+=("$(basename "$source" .cpp)"); done
fi

run_target() {
  local target=$1 log=build/fuzz/log/$1.txt
  mkdir -p "build/fuzz/corpus/$target"
  if build/fuzz/fuzz/"fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=10000 -detect_leaks=1 \
      -artifact_prefix="$found/$target-" -print_final_stats=1 "build/fuzz/corpus/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, nothing found"
  else
    echo "$target: FAILED, see $log"
    grep -E "ERROR:|runtime error|SUMMARY|Test unit written|terminate|what\(\)" "$log" | head -5
    return 1
  fi
}
export -f run_target
export seconds found
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'run_target {}'
