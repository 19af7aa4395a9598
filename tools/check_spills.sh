#!/usr/bin/env bash
# Reads what ptxas -v said of every kernel in a build's log and fails when a kernel spills registers to memory.
# Usage: tools/check_spills.sh BUILD_LOG   (of a build of the preset cuda, from scratch: cmake --build ... 2>&1 | tee BUILD_LOG)
set -euo pipefail
log=${1:?usage: tools/check_spills.sh BUILD_LOG}
awk '
  /Compiling entry function/ { kernel = $0; sub(/^[^\047]*\047/, "", kernel); sub(/\047.*for \047/, " ", kernel); sub(/\047.*/, "", kernel) }
  /bytes spill stores/ {
    match($0, /[0-9]+ bytes spill stores/); stores = substr($0, RSTART) + 0
    match($0, /[0-9]+ bytes spill loads/); loads = substr($0, RSTART) + 0
    match($0, /[0-9]+ bytes stack frame/); stack = substr($0, RSTART) + 0
    ++kernels; if (stack > deepest) deepest = stack
    if (stores + loads > 0) { print kernel ": " stores " bytes spilled, " loads " read back"; ++spilling }
  }
  /Used [0-9]+ registers/ { match($0, /Used [0-9]+/); used = substr($0, RSTART + 5) + 0; if (used > most) most = used }
  END {
    if (!kernels) { print "no kernel stands in this log: was anything compiled?"; exit 1 }
    printf "%d kernels, at most %d registers, largest stack frame %d bytes, %d spill registers\n", kernels, most, deepest, spilling
    exit spilling > 0
  }' "$log"
