#!/usr/bin/env bash
# tools/gpu_check.sh --pack [--programs FOLDER | --sources]
#   without flags: builds test_gpu, bench_gpu and graft for sm_90a alone in build/gpu_check and packs them, with the scripts and test data that
#     they take, as build/graft-gpu-check.tar.xz of at most 40 MiB; in a checkout that has it there, tools/gpu_check.sh unpacks it itself
#   --programs FOLDER: packs those that stand there
#   --sources: what the build takes from Debian's packages, in build/deps, and a tar.gz of the repository at HEAD with it, for --build there
set -euo pipefail
cd "$(dirname "$0")/../.."
most_bytes=$((${GRAFT_PACK_MIB:-40} << 20)) # what can be carried
usage() { echo "usage: tools/gpu_check.sh --pack [--programs FOLDER | --sources]" >&2; exit 2; }
programs=build/gpu_check/bin
wanted=programs
build=yes
case ${1:-} in
  "") ;;
  --programs) [ $# = 2 ] || usage; programs=$2 build=no ;;
  --sources) [ $# = 1 ] || usage; wanted=sources ;;
  *) usage ;;
esac

deps=build/deps
gather_deps() {
  local multiarch
  multiarch=$(${CXX:-g++} -print-multiarch 2>/dev/null || true)
  rm -rf "$deps"
  mkdir -p "$deps/include" "$deps/lib" "$deps/share/cmake"
  take() { # WHAT TO: the first of the places where it may stand
    local what=$1 to=$2 place
    for place in /usr/include/"$multiarch" /usr/include /usr/lib/"$multiarch" /usr/lib64 /usr/lib /usr/share/cmake; do
      [ -e "$place/$what" ] && { cp -rL "$place/$what" "$to"; return; }
    done
    echo "there is no $what here; tools/install_packages.sh tests installs it" >&2
    exit 1
  }
  for header in nlohmann CLI gtest stb zlib.h zconf.h jpeglib.h jerror.h jmorecfg.h jconfig.h; do take $header "$deps/include/"; done
  for library in libz.a libjpeg.a libgtest.a libgtest_main.a; do take $library "$deps/lib/"; done
  for package in nlohmann_json CLI11; do take $package "$deps/share/cmake/"; done
}

if [ $wanted = sources ]; then
  gather_deps
  tar=build/graft-gpu-check.tar
  git archive --prefix=graft/ HEAD > "$tar"
  tar --append --file="$tar" --owner=0 --group=0 --transform='s,^,graft/,' "$deps"
  gzip -f "$tar"
  echo "$tar.gz: $(($(stat -c %s "$tar.gz") >> 10)) KiB; there: tar xf graft-gpu-check.tar.gz && graft/tools/gpu_check.sh --build"
  exit 0
fi

if [ $build = yes ]; then
  gather_deps
  options=()
  if command -v ccache >/dev/null; then
    export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
    options=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache)
  fi
  cmake --preset cuda -B build/gpu_check -DGRAFT_GPU_CHECK=ON -DGRAFT_WERROR=OFF -DCMAKE_CUDA_ARCHITECTURES=90a-real \
    -DCMAKE_PREFIX_PATH="$PWD/$deps" "${options[@]}" > /dev/null
  cmake --build build/gpu_check --parallel "$(nproc)" --target graft_command test_gpu bench_gpu
fi

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/graft/build/gpu_check/bin" "$stage/graft/tests" "$stage/graft/benchmarks"
for program in graft test_gpu bench_gpu; do
  [ -x "$programs/$program" ] || { echo "there is no $programs/$program" >&2; exit 1; }
  if ldd "$programs/$program" 2>/dev/null | grep -E "libjpeg|libz|libcuda|libcudnn|libcublas|not found"; then
    echo "$program needs these to start: build it anew (rm -rf build/gpu_check; tools/gpu_check.sh --pack)" >&2
    exit 1
  fi
  cp "$programs/$program" "$stage/graft/build/gpu_check/bin/"
  strip "$stage/graft/build/gpu_check/bin/$program" 2>/dev/null || true # a script has nothing to strip
done
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain 2>/dev/null)" ] || commit="$commit with changes"
echo "$commit" > "$stage/graft/build/gpu_check/bin/commit.txt"
mkdir -p "$stage/graft/tools"
cp -r tools/gpu_check.sh tools/gpu_check "$stage/graft/tools/"
cp -r tests/data "$stage/graft/tests/"
cp -r benchmarks/peers "$stage/graft/benchmarks/"
find "$stage" -name __pycache__ -prune -exec rm -rf {} +
mkdir -p build
pack=build/graft-gpu-check.tar.xz
# The three programs hold the same library: a dictionary longer than all of them keeps it once.
tar --create --owner=0 --group=0 --directory="$stage" graft | xz --threads=1 --lzma2=preset=6,dict=128MiB > "$pack.part"
size=$(stat -c %s "$pack.part")
if [ "$size" -gt $most_bytes ]; then
  rm -f "$pack.part"
  echo "the pack would have $((size >> 20)) MiB; at most $((most_bytes >> 20)) can be carried" >&2
  exit 1
fi
mv "$pack.part" "$pack"
echo "$pack: $((size >> 10)) KiB, programs of $commit; there: tools/gpu_check.sh --call 1 --out FOLDER"
