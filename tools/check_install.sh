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
prefix="$work/a folder/prefix"  # with a space, as people have them

cmake --preset release -B "$build" -DBUILD_SHARED_LIBS=$shared "${options[@]}" >/dev/null
cmake --build "$build" --parallel "$(nproc)"
cmake --install "$build" --prefix "$prefix" >/dev/null
"$prefix/bin/graft" --version
if [ -e "$prefix/include/graft/layers/plan/graph.h" ] || [ ! -e "$prefix/include/graft/graft.hpp" ]; then
  echo "the installed headers are not the public ones" >&2; exit 1
fi

for example in examples/*/CMakeLists.txt; do
  name=$(basename "$(dirname "$example")")
  cmake -S "examples/$name" -B "$work/$name" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$prefix" \
        -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror" -DCMAKE_C_FLAGS="-Wall -Wextra -Werror" "${options[@]}" >/dev/null
  cmake --build "$work/$name"
done
"$work/new_op/channel_scale_test"
tools/check_library_paths.sh "$build" "$prefix" "$work"/*/

# A component that this build has not is said so; one that may be missing is asked for by OPTIONAL_COMPONENTS.
mkdir "$work/components"
cat >"$work/components/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(components LANGUAGES CXX)
find_package(graft 0.1 REQUIRED COMPONENTS core OPTIONAL_COMPONENTS cuda)
find_package(graft 0.1 QUIET COMPONENTS cuda)
if(NOT graft_FOUND STREQUAL graft_cuda_FOUND AND NOT (NOT graft_FOUND AND NOT graft_cuda_FOUND))
  message(FATAL_ERROR "found ${graft_FOUND}, cuda ${graft_cuda_FOUND}")
endif()
find_package(graft 0.1 QUIET COMPONENTS nonsense)
if(graft_FOUND)
  message(FATAL_ERROR "a component that does not exist was found")
endif()
END
cmake -S "$work/components" -B "$work/components/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
[ $kind = static ] || tools/check_exports.py "$(find "$prefix" -name 'libgraft.so' | head -n 1)"

# embed: a model made by the command, on an image made here (a grey ramp, 32x32, PGM).
model=$work/model.safetensors
"$prefix/bin/graft" convert examples/pretrained/cifar10_resnet20.th "$model" >/dev/null
{ printf 'P5\n32 32\n255\n'; for i in $(seq 1024); do printf "\\$(printf '%03o' $((i / 4 % 256)))"; done; } >"$work/ramp.pgm"
by_library=$("$work/embed/embed" "$model" "$work/ramp.pgm")
by_command=$("$prefix/bin/graft" predict "$model" "$work/ramp.pgm")
echo "$by_library"
[ "$by_library" = "$by_command" ] || { echo "embed and graft predict differ: $by_command" >&2; exit 1; }
by_c=$("$work/c_predict/c_predict" "$model" "$work/ramp.pgm")
[ "$by_c" = "$by_command" ] || { echo "c_predict and graft predict differ: $by_c" >&2; exit 1; }
if [ $kind = shared ]; then
  library=$(find "$prefix" -name 'libgraft.so' | head -n 1)
  tools/check_c_symbols.py "$library"
  python3 tests/capi/ctypes_test.py "$library"
fi

# custom_loss and custom_head, on the test's IDX files.
for example in custom_loss custom_head; do
  "$work/$example/$example" examples/pretrained/cifar10_resnet20.th tests/data/datasets/idx
done

# sensors: samples that are no images, resumed to the same bits; other people's answers are better than from scratch.
"$work/sensors/sensors" "$work/sensors.safetensors" "$work/adam.safetensors"

# programs: what people embed a network for, each with its letter. Grey squares of 24 levels stand for photos.
programs=$work/programs idx=tests/data/datasets/idx weights=examples/pretrained/cifar10_resnet20.th
squares="$work/a folder/squares"
mkdir -p "$squares"
echo path,bright,dark >"$squares/labels.csv"
echo path,level >"$squares/numbers.csv"
for i in $(seq 0 23); do
  { printf 'P5\n32 32\n255\n'; head -c 1024 /dev/zero | tr '\0' "\\$(printf '%03o' $((i * 10 + 5)))"; } >"$squares/$i.pgm"
  echo "$i.pgm,$((i > 8)),$((i < 14))" >>"$squares/labels.csv"
  echo "$i.pgm,$((i * 10)).5" >>"$squares/numbers.csv"
done
printf '%s\n' 'a good film' 'good fun' 'fine and good' 'a fine day' >"$squares/first.txt"
printf '%s\n' 'a bad film' 'no fun' 'bad and dull' 'a dull day' >"$squares/second.txt"
answers=$("$programs/a_predict" "$model" "$work/ramp.pgm")
[ "$answers" = "$("$prefix/bin/graft" predict "$model" "$work/ramp.pgm" --top 3 | cut -f 2-)" ] ||
  { echo "a_predict and graft predict --top 3 differ: $answers" >&2; exit 1; }
"$programs/b_own_loop" $weights $idx "$work/own.safetensors"
"$prefix/bin/graft" inspect "$work/own.safetensors" >/dev/null
"$programs/c_focal_se" $weights $idx "$work/focal.safetensors"
"$programs/d_multilabel" $weights "$squares/labels.csv" "$work/labels.safetensors"
"$programs/e_regression" $weights "$squares/numbers.csv" "$work/numbers.safetensors"
"$programs/f_unet" 30
"$programs/g_text_cnn" "$squares/first.txt" "$squares/second.txt" 40
"$programs/h_two_inputs" $weights $idx
"$programs/i_eight_threads" "$model" "$work/ramp.pgm"
"$programs/j_two_trainings" $weights $idx
"$programs/k_load_free" "$model" "$work/ramp.pgm" 50
features=$("$programs/l_features" "$model" "$work/ramp.pgm")
[ "$features" = "$(printf '[32,16,16]\n[1,32,16,16]')" ] || { echo "l_features: $features" >&2; exit 1; }
"$programs/n_cancel" $weights $idx
"$programs/o_track" "$work/squares_tracked"

# finetune: the loss of the tutorial's network falls.
data=/usr/share/datasets/fashion-mnist
if [ -d $data ] && [ "${GRAFT_FINETUNE_STEPS:-300}" -gt 0 ]; then
  "$work/finetune/finetune" $data "${GRAFT_FINETUNE_STEPS:-300}" | tee "$work/finetune.txt"
  tail -n 1 "$work/finetune.txt" | awk '{ sub(/,/, "", $7); exit !($7 + 0 > $11 + 0 && $11 + 0 > 0) }' ||
    { echo "examples/finetune: the loss did not fall" >&2; exit 1; }
fi

# pkg-config: the same program without CMake. Then nothing is left of the installation.
if command -v pkg-config >/dev/null; then
  export PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name graft.pc)")
  eval "${CXX:-g++} -std=c++20 -O0 examples/embed/embed.cpp -o \"$work/by_pkg_config\" $(pkg-config --cflags --libs graft)"
  by_pkg_config=$(LD_LIBRARY_PATH=$PKG_CONFIG_PATH/.. "$work/by_pkg_config" "$model" "$work/ramp.pgm")
  [ "$by_pkg_config" = "$by_command" ] || { echo "built with pkg-config, embed and graft predict differ: $by_pkg_config" >&2; exit 1; }
fi
cmake --build "$build" --target uninstall >/dev/null
left=$(find "$prefix" -type f -o -type l)
[ -z "$left" ] || { echo "uninstall left $left" >&2; exit 1; }
