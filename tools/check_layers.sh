#!/usr/bin/env bash
# The house check: who may include whom, file sizes, who may name a task's words, headers' first lines, the format of every source (where clang-format
# 14 is installed; .clang-format says how). Prints one line per fault; exit 1 on any.
# Usage: tools/check_layers.sh [--no-format] [ROOT]   Files over the size limit stand in tools/long_files.txt, each with its reason.
set -euo pipefail
asks_format=yes
if [ "${1:-}" = --no-format ]; then asks_format=no; shift; fi
root=${1:-$(cd "$(dirname "$0")/.." && pwd)}
cd "$root"
limit=500
library="core kernels layers io models train api capi"

existing() { for folder in "$@"; do [ -e "$folder" ] && printf '%s\n' "$folder"; done; return 0; }
sources() { existing "$@" | while read -r folder; do find "$folder" \( -name '*.h' -o -name '*.hpp' -o -name '*.cpp' -o -name '*.cu' \) -type f; done | LC_ALL=C sort; }

faults=$(mktemp)
trap 'rm -f "$faults"' EXIT

# Which of graft's own headers, by prefix, a file may include. The first matching row decides.
arrows='
core/base/      core/base/
core/tensor/    core/base/ core/tensor/
core/runtime/   core/base/ core/tensor/ core/runtime/
core/autograd/  core/
kernels/cuda/   core/base/ core/tensor/ core/runtime/ kernels/ops/ kernels/device_kernels.h kernels/cuda/
kernels/        core/base/ core/tensor/ core/runtime/ kernels/
layers/         core/ kernels/ops/ kernels/registry.h layers/
io/             core/ io/
models/         core/ layers/ io/ models/
train/          core/ kernels/ops/ kernels/registry.h layers/ io/ train/
api/            core/ kernels/devices.h layers/ io/ models/ train/ api/
capi/           core/ io/ models/ train/ api/ capi/
'
mapfile -t files < <(sources $library)
if [ ${#files[@]} -gt 0 ]; then
  awk -v arrows="$arrows" '
    BEGIN {
      rows = split(arrows, line, "\n")
      for (i = 1; i <= rows; ++i) if (split(line[i], word, " ") > 1) { from[++n] = word[1]; allowed[n] = line[i]; sub(/^[^ ]+/, "", allowed[n]) }
    }
    FNR == 1 {
      row = 0
      for (i = 1; i <= n && !row; ++i) if (index(FILENAME, from[i]) == 1) row = i
      header = FILENAME ~ /\.h$/
      if (header && $0 !~ /^\/\/ /) print FILENAME ":1: the first line of a header says what the file is for"
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
      name = $0; sub(/^[^"]*"/, "", name); sub(/".*/, "", name)
      if (name !~ /^graft\//) { print FILENAME ":" FNR ": include \"" name "\" as \"graft/...\""; next }
      sub(/^graft\//, "", name); ok = 0
      count = split(allowed[row], prefix, " ")
      for (i = 1; i <= count; ++i) if (index(name, prefix[i]) == 1) ok = 1
      if (!ok) print FILENAME ":" FNR ": may not include " name " (see docs/architecture.md)"
    }
    /^[ \t]*#[ \t]*include[ \t]*</ {
      name = $0; sub(/^[^<]*</, "", name); sub(/>.*/, "", name)
      if (header && name ~ /[.\/]/ && name !~ /^(immintrin|arm_neon)\.h$/ && FILENAME !~ /^kernels\/cuda\// && !(FILENAME ~ /^capi\// && name ~ /^std(def|int)\.h$/))
        print FILENAME ":" FNR ": third-party or system header <" name "> in a public header"
      if (name ~ /^immintrin\.h$/ && FILENAME !~ /^kernels\/cpu\//) print FILENAME ":" FNR ": intrinsics outside kernels/cpu"
      if (name ~ /^(nlohmann|zlib|jpeglib|stb)/ && FILENAME !~ /^(io|models|train|api)\//)
        print FILENAME ":" FNR ": <" name "> belongs to io, models, train, api and tools"
      if (name ~ /^Eigen/ && FILENAME !~ /^train\//) print FILENAME ":" FNR ": <" name "> belongs to train"
      if (name ~ /^(cuda|cudnn)/ && FILENAME !~ /^kernels\/cuda\//)
        print FILENAME ":" FNR ": <" name "> belongs to kernels/cuda"
    }' "${files[@]}" >> "$faults"
fi

# Sizes, with the list of agreed exceptions; an entry that is no longer needed is a fault too.
list=tools/long_files.txt
mapfile -t all < <(sources $library graft.hpp tools benchmarks examples tests)
if [ ${#all[@]} -gt 0 ]; then
  awk -v limit=$limit -v list=$list '
    BEGIN { while ((getline row < list) > 0) if (row !~ /^#/ && split(row, word, " ") > 1) reason[word[1]] = 1 }
    FNR == 1 { order[++n] = FILENAME }
    { lines[FILENAME] = FNR }
    END {
      for (i = 1; i <= n; ++i) {
        file = order[i]; name = file; sub(/.*\//, "", name)
        if (lines[file] > limit && !(file in reason)) print file ": " lines[file] " lines; over " limit " needs a reason in " list
        if (lines[file] <= limit && file in reason) print list ": " file " has " lines[file] " lines and needs no entry"
        if (name ~ /util|_v2\.|_fast\.|^fast_|^new_|_new\./) print file ": a name should say what is inside"
      }
    }' "${all[@]}" >> "$faults"
fi

# What an answer means is a task's affair (train/tasks): elsewhere in train and tools no file names labels, classes, cross-entropy
# or accuracy, but for those that still do, which the list names; one that no longer does must leave it.
words_list=tools/task_words.txt
mapfile -t of_no_task < <(sources train tools | grep -v '^train/tasks/' || true)
if [ ${#of_no_task[@]} -gt 0 ]; then
  naming=$(grep -liE 'label|classes|class_|classif|cross.entropy|accuracy' "${of_no_task[@]}" || true)
  listed=$(grep -vE '^(#|$)' "$words_list" 2>/dev/null || true)
  LC_ALL=C comm -23 <(printf '%s\n' "$naming" | LC_ALL=C sort) <(printf '%s\n' "$listed" | LC_ALL=C sort) |
    sed -n "s|.\+|&: names labels, classes, cross-entropy or accuracy, which belong to train/tasks|p" >> "$faults"
  LC_ALL=C comm -13 <(printf '%s\n' "$naming" | LC_ALL=C sort) <(printf '%s\n' "$listed" | LC_ALL=C sort) |
    sed -n "s|.\+|$words_list: & names no task's words and needs no entry|p" >> "$faults"
fi

# nlohmann-json 3.11.2 (Debian 12's) crashes where memory ends while a null becomes an object, so none begins as null.
existing $library tools benchmarks | xargs -r grep -rnE '\b([Jj]son|ordered_json) [a-z_]+;' --include='*.cpp' --include='*.h' |
  sed -E 's|^([^:]*:[0-9]*):.*|\1: a JSON value that begins as null; begin with json::object() or json::array()|' >> "$faults" || true

# Each top-level folder has a README of at most 40 lines, the project one of at most 80.
for folder in $(existing $library tools benchmarks examples tests docs); do
  if [ ! -f "$folder/README.md" ]; then echo "$folder: has no README.md" >> "$faults"
  elif [ "$(wc -l < "$folder/README.md")" -gt 40 ]; then echo "$folder/README.md: more than 40 lines" >> "$faults"; fi
done
[ ! -f README.md ] || [ "$(wc -l < README.md)" -le 80 ] || echo "README.md: more than 80 lines" >> "$faults"

# One format: versions of clang-format differ, so only Debian 12's is asked.
formatter=$(command -v clang-format-14 || true)
format_note="format not checked: there is no clang-format-14"
if [ $asks_format = no ]; then
  format_note="format not asked for"
elif [ -n "$formatter" ]; then
  format_note="format"
  printf '%s\0' "${all[@]}" | xargs -0 -n 50 -P 2 "$formatter" --dry-run --fallback-style=none --ferror-limit=1 2>&1 |
    sed -n 's/^\([^ :]*:[0-9]*\):.*clang-format-violations.*/\1: not as .clang-format says (clang-format-14 -i)/p' | sort -u >> "$faults"
fi

if [ -s "$faults" ]; then
  cat "$faults"
  echo "$(wc -l < "$faults") fault(s)"
  exit 1
fi
echo "${#all[@]} files: arrows, sizes, headers are in order; $format_note"
