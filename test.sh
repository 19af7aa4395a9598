#!/usr/bin/env bash
# Installs what the tests need, builds graft and runs every test. Usage: ./test.sh [PRESET]   (ci, asan, tsan; see CMakePresets.json)
# GRAFT_TEST_ONLY: a regular expression, only the test suites whose names it matches (ctest -N lists them). GRAFT_TEST_SKIP: without
# those that this one matches.
# GRAFT_TEST_TARGETS: what to build for them.
set -euo pipefail
cd "$(dirname "$0")"
preset=${1:-ci}

tools/install_packages.sh tests
options=()
if command -v ccache >/dev/null; then
  export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros
  options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
cmake --preset "$preset" "${options[@]}"
# shellcheck disable=SC2086
cmake --build "build/$preset" --parallel "$(nproc)" --target ${GRAFT_TEST_TARGETS:-all}

export GRAFT_REQUIRE_HDF5=1  # libhdf5 was installed above: its tests may not be skipped
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
log=build/$preset/test_log.txt
status=0
ctest --test-dir "build/$preset" --output-on-failure --no-tests=error ${GRAFT_TEST_ONLY:+-R "$GRAFT_TEST_ONLY"} ${GRAFT_TEST_SKIP:+-E "$GRAFT_TEST_SKIP"} --parallel "$(nproc)" 2>&1 | tee "$log" || status=$?

# ctest counts suites. What GoogleTest counted and skipped comes from their output; ctest's summary comes last again.
least=0
[ -n "${GRAFT_TEST_ONLY:-}${GRAFT_TEST_SKIP:-}" ] || least=$(grep -v '^#' tests/least_count.txt)
echo
tools/count_tests.sh "build/$preset/Testing/Temporary/LastTest.log" "$least" | tee -a "$log" || status=1
grep -E "tests passed|Total Test time" "$log"
exit $status
