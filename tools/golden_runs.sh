#!/usr/bin/env bash
# Trains small networks by the graft command and compares SHA-256 sums of what they became with the table tests/golden/sums.tsv: a
# change that is meant to move code about must leave every bit where it was.
# Usage: tools/golden_runs.sh [--full] [BUILD]             compares; exit 1 when a sum differs, 77 where sums mean nothing (said why)
#        tools/golden_runs.sh --update [--full] [BUILD]    writes the rows of the instruction sets that this machine has
# A sum is of the tensors' bytes alone (not of the file's metadata) and of the losses in metrics.jsonl. Each run is done once for
# each instruction set, forced by GRAFT_ISA. --full adds one network of each family, which takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=compare full=no
while :; do
  case "${1:-}" in
    --update) mode=update; shift ;;
    --full) full=yes; shift ;;
    *) break ;;
  esac
done
build=${1:-build/ci}
table=tests/golden/sums.tsv
graft=$(realpath "$build")/bin/graft
skip() { echo "SKIPPED: $*"; exit 77; }
[ -x "$graft" ] || { echo "$build: build graft_command first" >&2; exit 2; }
[ "$(uname -m)" = x86_64 ] || skip "the table is of x86-64 processors, this is $(uname -m)"

# Another compiler, another C library (exp, cos) and other flags may round differently.
cache=$build/CMakeCache.txt
value() { sed -n "s/^$1:[A-Z]*=//p" "$cache" | head -n 1; }
made_with="$("$(value CMAKE_CXX_COMPILER)" -dumpfullversion -dumpversion 2>/dev/null || echo unknown) $(value CMAKE_BUILD_TYPE)"
made_with="$(basename "$(value CMAKE_CXX_COMPILER)") $made_with, $(getconf GNU_LIBC_VERSION)"
[ -z "$(value GRAFT_SANITIZE)" ] || skip "a build with sanitizers is compiled with other flags than the table's"
if [ $mode = compare ]; then
  [ -f "$table" ] || skip "there is no $table yet; --update writes it"
  of_table=$(sed -n 's/^# made with: //p' "$table")
  [ "$made_with" = "$of_table" ] || skip "this build is of $made_with; the table is of $of_table"
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
# Three classes, of 8, 7 and 6 small binary PPM files; every byte is a printable one.
for class in a b c; do
  mkdir -p "$out/data/$class"
  for i in $(seq $((8 - $(printf '%d' "'$class") + 97))); do
    LC_ALL=C awk -v class=$class -v i=$i 'BEGIN {
      c = index("abc", class); printf "P6\n11 10\n126\n"
      for (k = 0; k < 330; ++k) printf "%c", 33 + (k * (7 + c) + i * 13 + int(k * k / (29 + 3 * c)) + (k % 3 == c - 1) * 40) % 93
    }' > "$out/data/$class/$i.ppm"
  done
done
weights=$PWD/examples/pretrained/cifar10_resnet20.th

# name, verb and flags of each run; FILE stands for the pretrained weights, GRAPH for the same network as an ONNX graph.
runs() {
  cat <<'END'
frozen           finetune --weights FILE --epochs 2
frozen_uncached  finetune --weights FILE --epochs 2 --cache-features off
frozen_views     finetune --weights FILE --epochs 2 --augment light --views 2
frozen_sgd       finetune --weights FILE --epochs 2 --optimizer sgd
frozen_bf16      finetune --weights FILE --epochs 2 --precision bf16
full_sgd         finetune --weights FILE --epochs 2 --freeze none
full_plain       finetune --weights FILE --epochs 2 --freeze none --augment none --workers 2
full_adam        finetune --weights FILE --epochs 2 --freeze none --optimizer adam --schedule onecycle
full_adamw       finetune --weights FILE --epochs 2 --freeze none --optimizer adamw --schedule step
full_bf16        finetune --weights FILE --epochs 2 --freeze none --precision bf16
full_ram         finetune --weights FILE --epochs 2 --freeze none --ram 74M
partly           finetune --weights FILE --epochs 2 --freeze ..layer2 --bn train
adapt            finetune --weights FILE --epochs 2 --freeze ..layer1 --bn adapt
weights          finetune --weights FILE --epochs 2 --balance weights
sampling         finetune --weights FILE --epochs 2 --balance sampling --patience 1
int8             finetune --weights FILE --epochs 2 --int8
graph            finetune --weights GRAPH --epochs 2
graph_full       finetune --weights GRAPH --epochs 2 --freeze none
random           pretrain --arch cifar_resnet20 --epochs 2
resumed          finetune --weights FILE --epochs 4 --freeze none --checkpoint-seconds 0
END
  [ $full = no ] || cat <<'END'
resnet18         pretrain --arch resnet18 --epochs 1 --image-size 32
resnet50         pretrain --arch resnet50 --epochs 1 --image-size 32
vgg11            pretrain --arch vgg11 --epochs 1 --image-size 32
squeezenet       pretrain --arch squeezenet1_1 --epochs 1 --image-size 32
densenet         pretrain --arch densenet121 --epochs 1 --image-size 32
mobilenet        pretrain --arch mobilenet_v2 --epochs 1 --image-size 32
END
}

quietly() { "$@" >"$out/log" 2>&1 || { cat "$out/log" >&2; echo "failed: $*" >&2; exit 1; }; }
# The run is stopped after its second epoch and then goes on: the sum is that of a run that was never stopped.
stopped_and_resumed() {
  "$@" >"$out/log" 2>&1 & local process=$!
  for _ in $(seq 1000); do
    [ ! -f "$out/run/metrics.jsonl" ] || [ "$(wc -l <"$out/run/metrics.jsonl")" -lt 2 ] || break
    kill -0 $process 2>/dev/null || break
    sleep 0.01
  done
  kill -INT $process 2>/dev/null || true
  wait $process || true
  quietly "$@" --resume
}
sum_of_run() {
  local model=$out/run/model.safetensors
  local header
  header=$(od -An -t u8 -N 8 "$model" | tr -d ' ')
  { tail -c +$((header + 9)) "$model"
    sed 's/,"images_per_s".*//' "$out/run/metrics.jsonl"; } | sha256sum | cut -d ' ' -f 1
}

has() { case $1 in portable) true ;; avx512) grep -qw avx512bw /proc/cpuinfo ;; *) grep -qw "$1" /proc/cpuinfo ;; esac; }
quietly "$graft" convert "$weights" "$out/graph.onnx"
bad=0 compared=0
: >"$out/rows"
for set in portable avx2 avx512; do
  if ! has $set; then
    echo "SKIPPED: the rows of $set, which this processor has not"
    continue
  fi
  while read -r name verb flags; do
    case $set-$full-$name in  # portable code is slow: some runs show that it is the same too
      portable-no-frozen | portable-no-frozen_sgd | portable-no-full_plain | portable-no-graph) ;;
      portable-no-*) continue ;;
    esac
    flags=${flags//FILE/$weights}
    # shellcheck disable=SC2206
    command=(env GRAFT_ISA=$set GRAFT_THREADS=2 "$graft" $verb ${flags//GRAPH/$out/graph.onnx} --data "$out/data" --batch 8 --out "$out/run")
    rm -rf "$out/run"
    if [ "$name" = resumed ]; then stopped_and_resumed "${command[@]}"; else quietly "${command[@]}"; fi
    sum=$(sum_of_run)
    printf '%s\t%s\t%s\n' "$name" $set "$sum" >>"$out/rows"
    [ $mode = compare ] || continue
    expected=$(awk -F'\t' -v name="$name" -v set=$set '$1 == name && $2 == set { print $3 }' "$table")
    if [ -z "$expected" ]; then
      echo "SKIPPED: $name with $set: the table has no row of it (--update on this machine writes it)"
    elif [ "$sum" = "$expected" ]; then
      compared=$((compared + 1))
    else
      echo "DIFFERS: $name with $set: $sum, the table has $expected"
      bad=1
    fi
  done < <(runs)
done

if [ $mode = update ]; then
  # Rows of runs that were not asked for stay.
  : >"$out/others"
  [ ! -f "$table" ] || awk -F'\t' 'FNR == NR { seen[$1, $2] = 1; next } !/^#/ && !(($1, $2) in seen)' "$out/rows" "$table" >"$out/others"
  {
    echo "# SHA-256 of the tensors and losses of small training runs. tools/golden_runs.sh --update writes this."
    echo "# made with: $made_with"
    printf '# run\tinstruction set\tsum\n'
    cat "$out/rows" "$out/others"
  } >"$out/table"
  mv "$out/table" "$table"
fi
[ $bad = 0 ] || echo "Bits changed. If that is meant: tools/golden_runs.sh --update, and the reason in the commit."
[ $mode = update ] || echo "$compared runs ended in the bits of $table"
exit $bad
