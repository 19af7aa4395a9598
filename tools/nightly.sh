#!/usr/bin/env bash
# What is too long for every landing: all tests under the sanitizers, the thread sanitizer included, long fuzzing, ONNX's own
# cases, whole networks beside other frameworks. Every section runs; one that lacks something says SKIPPED and what. Exit 1
# when a section failed. Hours on 2 cores. Usage: tools/nightly.sh [SECTION...]   (names as at the end of this file; all)
# GRAFT_PYTHON: a Python with onnx, onnxruntime, torch, torchvision, keras, safetensors (python3). GRAFT_FUZZ_SECONDS: for
# each fuzz target (900). GRAFT_LIGHT: onnx's light graphs (../shared/data/models/onnx_light/light). GRAFT_ONNX_LISTS: the
# folder of tierA.txt and tierB.txt (../shared/prototypes/onnx_conformance).
set -uo pipefail
cd "$(dirname "$0")/.."
python=${GRAFT_PYTHON:-python3}
lists=${GRAFT_ONNX_LISTS:-../shared/prototypes/onnx_conformance}
light=${GRAFT_LIGHT:-../shared/data/models/onnx_light/light}
fuzz_seconds=${GRAFT_FUZZ_SECONDS:-900}
graft=build/release/bin/graft
wanted=("$@") failed=() skipped=()

# check NAME TITLE: runs check_NAME as a section, in a shell of its own that ends at its first failure.
check() {
  local name=$1 title=$2 status
  if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $name "* ]]; then return; fi
  section "$name: $title"
  (set -e; "check_$name")
  status=$?  # not in a condition: -e would mean nothing there
  case $status in
    0) ;;
    77) skipped+=("$name") ;;
    *) failed+=("$name"); echo "FAILED: $name (exit code $status)" ;;
  esac
}
skip() { echo "SKIPPED: $1"; exit 77; }
needs_modules() {
  local module
  for module in "$@"; do
    "$python" -c "import $module" 2>/dev/null || skip "$python has no module $module (GRAFT_PYTHON says which Python to use)"
  done
}
needs_path() { [ -e "$1" ] || skip "$1 is not on this machine"; }
build() {  # PRESET TARGET...
  local preset=$1
  shift
  local options=()
  if command -v ccache >/dev/null; then
    export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros
    options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  cmake --preset "$preset" "${options[@]}" >/dev/null
  cmake --build "build/$preset" --parallel "$(nproc)" --target "$@" >"build/$preset/build_log.txt" || { tail -n 30 "build/$preset/build_log.txt"; exit 1; }
}

check_tests() { ./test.sh; }
# GRAFT_TEST_FULL: with the cases that are too long under sanitizers for a landing (tests/support/full_size.h).
check_asan() { GRAFT_TEST_FULL=1 ./test.sh asan; }
# Everything but the emulator, whose fibers the thread sanitizer does not know.
check_tsan() {
  GRAFT_TEST_TARGETS="graft_command $(for area in core kernels layers io models train tools; do printf 'test_%s ' $area; done)" \
    GRAFT_TEST_ONLY='^(core|kernels|layers|io|models|train|tools)\.' GRAFT_TEST_FULL=1 ./test.sh tsan
}
check_install() { tools/check_install.sh static; tools/check_install.sh shared; }
check_cuda() {
  local nvcc
  nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null) || skip "there is no nvcc"
  PATH="$(dirname "$nvcc"):$PATH" tools/check_cuda_build.sh
}
check_fuzz() { tools/fuzz.sh --seconds "$fuzz_seconds"; }
check_fuzz_hdf5() {
  build asan graft_command
  python3 tests/fuzz/hdf5_process.py "$fuzz_seconds" build/asan/bin/graft
}
# What ctest runs in small part (tests/faults): kills, failing files, failing memory, damaged files, determinism, --ram.
# GRAFT_FAULTS_PART=K/N: one of N disjoint parts (1/1).
check_faults() {
  build ci graft_command graft_failing_memory graft_failing_io graft_many_starts
  local command=build/ci/bin/graft starts=build/ci/faults/libgraft_many_starts.so
  local part=${GRAFT_FAULTS_PART:-1/1}
  python3 tests/faults/io_faults.py $command build/ci/faults/libgraft_failing_io.so --points 0 --starts $starts --part "$part"
  python3 tests/faults/failing_memory.py $command build/ci/faults/libgraft_failing_memory.so --points 20000 --starts $starts --part "$part"
  python3 tests/faults/mutations.py $command --count 100000 --starts $starts --part "$part"
  python3 tests/faults/determinism.py $command --part "$part"
  case $part in 1/*) ;; *) return 0 ;; esac
  python3 tests/faults/random_kills.py $command --kills 110
  python3 tests/faults/ram_peaks.py $command --megapixels 12 --threads 1 2 8 16
}
check_report() {  # in a browser, of as many classes as made a page of 450 MB
  command -v chromium >/dev/null || skip "there is no chromium"
  build ci graft_command
  python3 tests/tools/report_browser_test.py build/ci/bin/graft --classes 3000
}
check_onnx_cases() {
  needs_modules onnx numpy
  needs_path "$lists/tierB.txt"
  build ci onnx_cases
  local cases=("$python" tests/conformance/run_node_cases.py --binary build/ci/onnx_cases)
  "${cases[@]}" --list "$lists/tierA.txt" --list "$lists/tierB.txt"
  "${cases[@]}" --kind pytorch-operator
  "${cases[@]}" --kind pytorch-converted
}
check_networks() {
  needs_modules torch torchvision onnx onnxruntime numpy
  needs_path "$light"
  build release graft_command
  "$python" tests/conformance/run_networks.py --graft $graft --light "$light" --exports resnet18,mobilenet_v2,densenet121,squeezenet1_1,vgg11_bn,efficientnet_b0
}
check_exports() {
  needs_modules torch torchvision onnx onnxruntime safetensors numpy
  build release graft_command
  "$python" tests/data/networks/check_export.py $graft
  "$python" tests/data/networks/check_formats.py $graft resnet50
}
check_torch_exports() {
  needs_modules torch torchvision numpy
  build release graft_command
  "$python" tests/conformance/run_exports.py --tool $graft
}
check_gradients() {
  needs_modules torch onnx numpy
  needs_path "$light"
  build ci graph_gradients
  "$python" tests/conformance/run_gradients.py --tool build/ci/graph_gradients --light "$light"
}
check_keras() {
  needs_modules torch keras onnxruntime numpy
  build release graft_command
  KERAS_BACKEND=torch "$python" tests/data/keras/check_networks.py $graft
}
check_tensorflow() {
  needs_modules tensorflow tf2onnx onnx onnxruntime numpy
  build release graft_command
  "$python" tests/conformance/run_tf2onnx.py --graft $graft
}
check_peers() {
  needs_modules torch torchvision onnx onnxruntime openvino tensorflow
  build release graft_command
  export GRAFT=$PWD/$graft PEERS_PY=$python
  "$python" benchmarks/peers/export_onnx.py
  benchmarks/peers/run_all.sh all
}

for name in "${wanted[@]}"; do
  declare -F "check_$name" >/dev/null || { echo "there is no section $name; this file ends with a list" >&2; exit 2; }
done
# shellcheck source=tools/sections.sh
source tools/sections.sh

tools/install_packages.sh ci
check tests "everything that test.sh runs"
check asan "address and undefined-behaviour sanitizers"
check tsan "thread sanitizer, all tests but the emulator's"
check cuda "every CUDA kernel compiled"
check install "installed library, and the examples with their training"
check fuzz "each fuzz target for $fuzz_seconds s"
check faults "kills, failing files and memory, damaged files, determinism, --ram"
check fuzz_hdf5 "damaged Keras files for $fuzz_seconds s, under the sanitizers"
check report "the report of 3,000 classes in Chromium"
check onnx_cases "ONNX's own cases"
check networks "whole networks beside onnxruntime"
check torch_exports "PyTorch's export archives of torchvision's networks beside PyTorch"
check exports "networks written as .onnx and .safetensors, read by others"
check gradients "gradients of imported graphs beside PyTorch"
check keras "keras.applications beside Keras"
check tensorflow "TensorFlow's networks through tf2onnx"
check peers "speed beside other frameworks"

end_sections
[ ${#skipped[@]} = 0 ] || echo "skipped: ${skipped[*]}"
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
