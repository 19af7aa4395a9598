#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs each from its seeds; exit 1 when any of them finds something.
# Usage: tools/fuzz.sh [--seconds N | --runs N] [--jobs N] [--max-len BYTES] [--corpus FOLDER] [--record FILE] [TARGET...]
#   --seconds N      each target runs for N seconds (30)
#   --runs N         each target runs N inputs, however long that takes
#   --jobs N         targets at a time (all processors)
#   --max-len BYTES  longest input (10000)
#   --corpus FOLDER  what was found interesting is kept in FOLDER/TARGET and used by the next run (build/fuzz/corpus)
#   --record FILE    one line of JSON a target is added to FILE
# What is found lies in build/fuzz/found/; replay it with: build/fuzz/fuzz/fuzz_TARGET FILE
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=30 runs=-1 jobs=$(nproc) max_len=10000 corpus=build/fuzz/corpus record=/dev/null
while [ $# -gt 0 ] && [ "${1#--}" != "$1" ]; do
  [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
  case $1 in
    --seconds) seconds=$2 ;;
    --runs) runs=$2 seconds=0 ;;
    --jobs) jobs=$2 ;;
    --max-len) max_len=$2 ;;
    --corpus) corpus=$2 ;;
    --record) record=$2 ;;
    *) sed -n '3,9s/^# //p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done

clang=${GRAFT_CLANG:-}
for candidate in clang++ clang++-14 clang++-18; do
  [ -n "$clang" ] || clang=$(command -v "$candidate" || true)
done
[ -n "$clang" ] || { echo "clang++ is needed: apt-get install clang libclang-rt-14-dev (Debian 12) or clang libclang-rt-18-dev (Ubuntu 24.04)" >&2; exit 2; }

options=()
[ -f build/fuzz/CMakeCache.txt ] || options+=(-DCMAKE_CXX_COMPILER="$clang")
if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
cmake -S . -B build/fuzz -G Ninja -DGRAFT_BUILD_FUZZERS=ON -DGRAFT_AVIF=OFF -DGRAFT_HEIC=OFF -DGRAFT_BUILD_TOOLS=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  "${options[@]}" >/dev/null
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for source in tests/fuzz/*.cpp; do
    [[ $source == *_test.cpp ]] || targets+=("$(basename "$source" .cpp)")
  done
fi
cmake --build build/fuzz --target "${targets[@]/#/fuzz_}" --parallel "$(nproc)" >build/fuzz/build.txt || { tail -n 30 build/fuzz/build.txt >&2; exit 1; }

found=build/fuzz/found
mkdir -p "$found" build/fuzz/log
# What was fuzzed: the ids of the folders io and models, which stay the same wherever a commit moves.
code=$(git rev-parse --short HEAD:io 2>/dev/null || echo unknown)-$(git rev-parse --short HEAD:models 2>/dev/null || echo unknown)

run_target() {
  local target=$1 log=build/fuzz/log/$1.txt own=$corpus/$1 began=$SECONDS outcome=0
  mkdir -p "$own"
  local options=(-runs="$runs" -max_total_time="$seconds" -max_len="$max_len" -timeout=10 -report_slow_units=1 -rss_limit_mb=2048
    -malloc_limit_mb=512 -detect_leaks=1 -artifact_prefix="$found/$target-" -print_final_stats=1)
  [ ! -f "tests/fuzz/$target.dict" ] || options+=(-dict="tests/fuzz/$target.dict")
  # Short stacks in the allocator's records: they are most of the sanitizer's time.
  ASAN_OPTIONS=malloc_context_size=4:quarantine_size_mb=32 build/fuzz/fuzz/"fuzz_$target" "${options[@]}" "$own" "tests/fuzz/corpus/$target" >"$log" 2>&1 || outcome=1
  stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -n 1; }
  local inputs slowest peak
  inputs=$(stat number_of_executed_units) slowest=$(stat slowest_unit_time_sec) peak=$(stat peak_rss_mb)
  printf '{"target": "%s", "code": "%s", "date": "%s", "inputs": %s, "seconds": %s, "max_len": %s, "findings": %s, "corpus_files": %s, "corpus_bytes": %s, "slowest_s": %s, "peak_rss_mb": %s}\n' \
    "$target" "$code" "$(date -u +%Y-%m-%d)" "${inputs:-0}" $((SECONDS - began)) "$max_len" "$outcome" "$(find "$own" -type f | wc -l)" \
    "$(find "$own" -type f -printf '%s\n' | awk '{s += $1} END {print s + 0}')" "${slowest:-0}" "${peak:-0}" >>"$record"
  if [ $outcome = 0 ]; then
    echo "$target: $inputs inputs, nothing found (slowest ${slowest} s, ${peak} MB)"
  else
    echo "$target: FAILED, see $log"
    grep -E "ERROR:|runtime error|SUMMARY|Test unit written|terminate|what\(\)" "$log" | head -5
  fi
  return $outcome
}
export -f run_target
export seconds runs max_len corpus record found code
printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I{} bash -c 'run_target {}'
