#!/usr/bin/env bash
# Installs graft to a temporary prefix, builds the examples against it with find_package(graft) as a stranger would, and runs
# them. Usage: tools/check_install.sh static|shared
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-static}
case $kind in static) shared=OFF ;; shared) shared=ON ;; *) echo "usage: $0 static|shared" >&2; exit 2 ;; esac

options=()
if command -v ccache >/dev/null; then
  export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
  options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
build=build/install-$kind
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=$shared "${options[@]}" >/dev/null
cmake --build "$build" --parallel "$(nproc)"
cmake --install "$build" --prefix "$prefix" >/dev/null
"$prefix/bin/graft" --version

for example in examples/*/CMakeLists.txt; do
  name=$(basename "$(dirname "$example")")
  cmake -S "examples/$name" -B "$work/$name" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$prefix" \
        -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror" "${options[@]}" >/dev/null
  cmake --build "$work/$name"
done
"$work/new_op/channel_scale_test"
