#!/usr/bin/env bash
# Counts GoogleTest's tests in a log of ctest, which counts suites, and names those that were skipped and why.
# Usage: tools/count_tests.sh LOG [LEAST]   exit 1 when fewer than LEAST ran: a suite or a program went missing
set -euo pipefail
awk -v least="${2:-0}" '
  # A test that skips itself: "FILE:LINE: Skipped", the reason, an empty line, "[  SKIPPED ] NAME (0 ms)".
  /: Skipped$/ { getline reason }
  /^\[  SKIPPED \] .* \([0-9]+ ms\)$/ { print "SKIPPED " $4 ": " (reason == "" ? "no reason given" : reason); reason = "" }
  /^\[  SKIPPED \] [0-9]+ tests?, listed below/ { skipped += $4 }
  /^\[  PASSED  \] [0-9]+ tests?\./ { passed += $4 }
  /^\[  FAILED  \] [0-9]+ tests?, listed below/ { failed += $4 }
  /^\[==========\] [0-9]+ tests? from .* ran\./ { ran += $2; ++suites }
  END {
    printf "gtest: %d tests ran in %d suites: %d passed, %d skipped, %d failed\n", ran, suites, passed, skipped, failed
    if (ran >= least) exit 0
    printf "only %d tests ran and tests/least_count.txt asks for %d: some went missing\n", ran, least
    exit 1
  }' "$1"
