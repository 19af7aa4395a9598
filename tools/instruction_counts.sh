#!/usr/bin/env bash
# Counts the instructions of fixed workloads (tests/instructions) under callgrind and compares them with the table there.
# Usage: tools/instruction_counts.sh [BUILD]             compares; exit 1 when a workload takes more or less than the table says,
#                                                        77 where counts mean nothing (said why)
#        tools/instruction_counts.sh --update [BUILD]    writes the table anew
#        tools/instruction_counts.sh --functions NAME [BUILD]   the 25 functions that take most of a workload
# What keeps the numbers free of noise: one thread, GRAFT_ISA=avx2 (valgrind has no AVX-512 and shows every processor the same
# AVX2 model), an empty environment, the program's own functions only. Those of libc, libm and the other libraries, which choose by
# processor and change with the distribution, are a column of their own with a wider tolerance. So the same build should
# give the same numbers on any processor with AVX2; seen so far: on one, idle and busy.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=compare name=""
case "${1:-}" in
  --update) mode=update; shift ;;
  --functions) mode=functions name=${2:?a workload}; shift 2 ;;
esac
build=${1:-build/ci}
table=tests/instructions/counts.tsv
workloads=$build/instruction_workloads
skip() { echo "SKIPPED: $*"; exit 77; }

command -v valgrind >/dev/null || skip "valgrind is not installed (tools/install_packages.sh ci)"
grep -qw avx2 /proc/cpuinfo || skip "this processor has no AVX2, which valgrind needs to show it"
[ -x "$workloads" ] && [ -x "$build/bin/graft" ] || { echo "$build: build instruction_workloads and graft_command first" >&2; exit 2; }
[ $mode != compare ] || [ -f "$table" ] || skip "there is no $table yet; --update writes it"
made_with="$("$workloads" --describe), $(valgrind --version)"
counted_with=$(sed -n 's/^# made with: //p' "$table" 2>/dev/null || true)
# Another compiler makes other code; another libc, libjpeg or valgrind only changes the second column.
if [ $mode = compare ] && [ "${made_with%%,*}" != "${counted_with%%,*}" ]; then
  skip "this build is of ${made_with%%,*}; the table was made with ${counted_with%%,*}"
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
photo=tests/data/images/baseline.jpg
"$workloads" --save "$out/model.safetensors"

# callgrind FILE TOGGLE COMMAND...: runs it with an empty environment; TOGGLE "": all of it is counted.
callgrind() {
  local file=$1 toggle=$2
  shift 2
  env -i PATH=/usr/bin:/bin LC_ALL=C GRAFT_ISA=avx2 GRAFT_THREADS=1 \
    GLIBC_TUNABLES=glibc.cpu.x86_non_temporal_threshold=0x1000000:glibc.cpu.x86_rep_movsb_threshold=0x1000000:glibc.cpu.x86_rep_stosb_threshold=0x1000000 \
    valgrind --tool=callgrind --callgrind-out-file="$file" --compress-strings=no --dump-line=no \
    ${toggle:+--toggle-collect=$toggle --instr-atstart=no} "$@" >"$file.log" 2>&1 || { cat "$file.log" >&2; exit 1; }
}
count() {
  case $1 in
    start_up) callgrind "$out/$1" "" "$build/bin/graft" --version ;;
    predict) callgrind "$out/$1" "" "$build/bin/graft" predict "$out/model.safetensors" "$photo" --device cpu ;;
    *) callgrind "$out/$1" count_here "$workloads" "$1" ;;
  esac
}
# Costs by file of code (an "ob=" line names it); the line behind "calls=" is what the called function took.
by_object() {
  awk '
    /^ob=/ { mine = (index($0, "/instruction_workloads") || index($0, "/bin/graft")) ? 1 : 0 }
    /^calls=/ { getline; next }
    /^[0-9+*-]/ { if (mine) own_count += $2; else others += $2 }
    END { printf "%d\t%d\n", own_count, others }' "$1"
}

if [ $mode = functions ]; then
  count "$name"
  awk '/^fn=/ { f = substr($0, 4) } /^calls=/ { getline; next } /^[0-9+*-]/ { n[f] += $2; all += $2 }
       END { for (f in n) printf "%6.2f%%  %d  %s\n", 100 * n[f] / all, n[f], f }' "$out/$name" | sort -rn | head -n 25
  exit 0
fi

names="start_up predict $("$workloads" --list)"
# As many at a time as there are processors; each is one thread.
running=0
for workload in $names; do
  (count "$workload"; by_object "$out/$workload" >"$out/$workload.counts") &
  running=$((running + 1))
  if [ $running -ge "$(nproc)" ]; then wait -n; running=$((running - 1)); fi
done
while [ $running -gt 0 ]; do wait -n; running=$((running - 1)); done
for workload in $names; do printf '%s\t%s\n' "$workload" "$(cat "$out/$workload.counts")"; done >"$out/counts"

if [ $mode = update ]; then
  {
    echo "# Instructions of one run of each workload at GRAFT_ISA=avx2 on one thread. tools/instruction_counts.sh --update writes this."
    echo "# made with: $made_with"
    echo "# tolerance: 1 % of graft's own, 5 % of the libraries' (of 1 % of graft's own where they take less)"
    printf '# workload\tgraft\tlibraries\n'
    cat "$out/counts"
  } >"$out/table"
  mv "$out/table" "$table"
  cat "$table"
  exit 0
fi

awk -F'\t' -v same_libraries="$([ "$made_with" = "$counted_with" ] && echo 1 || echo 0)" '
  FNR == NR { if ($0 !~ /^#/) { own[$1] = $2; others[$1] = $3 } next }
  function change(now, before) { return before > 0 ? 100 * (now / before - 1) : (now > 0) * 100 }
  {
    if (!($1 in own)) { printf "%s: is not in the table\n", $1; bad = 1; next }
    seen[$1] = 1
    slack = 0.05 * others[$1] > 0.01 * own[$1] ? 0.05 * others[$1] : 0.01 * own[$1]
    word = "ok"
    if ($2 > 1.01 * own[$1]) word = "SLOWER"
    else if ($2 < 0.99 * own[$1]) word = "FASTER"
    else if (same_libraries && ($3 > others[$1] + slack || $3 < others[$1] - slack)) word = $3 > others[$1] ? "SLOWER (libraries)" : "FASTER (libraries)"
    if (word != "ok") bad = 1
    printf "%-18s graft %12d -> %12d (%+.3f %%)   libraries %10d -> %10d (%+.2f %%)   %s\n", $1, own[$1], $2, change($2, own[$1]), others[$1], $3, change($3, others[$1]), word
  }
  END {
    for (name in own) if (!(name in seen)) { printf "%s: stands in the table and was not run\n", name; bad = 1 }
    if (!same_libraries) print "the libraries differ from those of the table: their column was not compared"
    if (bad) print "Counts differ from tests/instructions/counts.tsv. If that is meant: tools/instruction_counts.sh --update, and the reason in the commit."
    exit bad
  }' "$table" "$out/counts"
