#!/usr/bin/env bash
# Where would the loader look for libraries? Reads the dynamic section of every program and shared library below FOLDER... and fails
# on an entry of RPATH or RUNPATH that is empty (the current folder), relative, or a folder that everybody may write to, and on a
# needed library that is named by a relative path. With --install CMAKE the one FOLDER is a build folder, which is installed to a
# temporary prefix too. Usage: tools/check_library_paths.sh [--install CMAKE] FOLDER...
set -euo pipefail
command -v readelf >/dev/null || { echo "readelf (binutils) is needed" >&2; exit 2; }
[ $# -gt 0 ] || { sed -n 's/.*\(Usage: .*\)/\1/p' "$0" | head -n 1 >&2; exit 2; }
if [ "$1" = --install ]; then
  cmake=$2 build=$3
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  "$cmake" --install "$build" --prefix "$work/prefix" --component graft_programs >/dev/null
  [ -x "$work/prefix/bin/graft" ] || { echo "graft was not installed from $build" >&2; exit 1; }
  set -- "$build" "$work/prefix"
fi

faults=0
last=
fault() { [ "$1" = "$last" ] || { echo "$1"; faults=$((faults + 1)); }; last=$1; }

# check_entry FILE ENTRY: one folder of a search path.
check_entry() {
  local file=$1 entry=$2 folder
  case $entry in
    '') fault "$file: an empty entry in its library path means the current folder"; return ;;
    '$ORIGIN'|'$ORIGIN/'*|'${ORIGIN}'|'${ORIGIN}/'*) folder=$(dirname "$file")/${entry#*ORIGIN}; folder=${folder/\/\}//} ;;
    /*) folder=$entry ;;
    *) fault "$file: '$entry' in its library path is relative to the current folder"; return ;;
  esac
  if [ -d "$folder" ] && [ -n "$(find -L "$folder" -maxdepth 0 -perm -0002)" ]; then
    fault "$file: '$entry' in its library path is a folder that everybody may write to"
  fi
}

checked=0
while IFS= read -r -d '' file; do
  [ "$(head -c 4 "$file" | tr -d '\0')" = $'\x7fELF' ] || continue
  dynamic=$(readelf -dW "$file" 2>/dev/null) || { fault "$file: readelf cannot read it"; continue; }
  checked=$((checked + 1))
  while IFS= read -r line; do
    value=${line#*[}
    value=${value%]*}
    case $line in
      *'(RPATH)'*|*'(RUNPATH)'*)
        rest=$value:
        while [ -n "$rest" ]; do
          check_entry "$file" "${rest%%:*}"
          rest=${rest#*:}
        done ;;
      *'(NEEDED)'*) case $value in /*) ;; */*) fault "$file: needs '$value', a path relative to the current folder" ;; esac ;;
    esac
  done <<< "$dynamic"
done < <(find "$@" -name CMakeFiles -prune -o -type f \( -perm -u+x -o -name '*.so*' \) -print0)

[ $checked -gt 0 ] || { echo "no program in $*" >&2; exit 1; }
[ $faults -eq 0 ] || { echo "$faults fault(s) in $checked programs and libraries"; exit 1; }
echo "$checked programs and libraries: each looks for libraries where only their owners can put them"
