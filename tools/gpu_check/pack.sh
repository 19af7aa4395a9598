#!/usr/bin/env bash
# tools/gpu_check.sh --pack [--programs]: what graft's build takes from Debian's packages, in build/deps as a prefix of headers, static
# libraries and CMake files, and a tar of the repository's files at HEAD with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
programs=${1:-}
[ -z "$programs" ] || [ "$programs" = --programs ] || { echo "usage: tools/gpu_check.sh --pack [--programs]" >&2; exit 2; }
multiarch=$(${CXX:-g++} -print-multiarch 2>/dev/null || true)
deps=build/deps
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

tar=build/graft-gpu-check.tar
git archive --prefix=graft/ HEAD > "$tar"
built=("$deps")
if [ -n "$programs" ]; then
  for program in graft test_gpu bench_gpu; do
    if ldd build/gpu_check/bin/$program | grep -E "libjpeg|libz|not found"; then
      echo "$program needs these to start: build it anew with build/deps in place (rm -rf build/gpu_check; tools/gpu_check.sh --dry-run --stage build)" >&2
      exit 1
    fi
    built+=(build/gpu_check/bin/$program)
  done
fi
tar --append --file="$tar" --owner=0 --group=0 --transform='s,^,graft/,' "${built[@]}"
gzip -f "$tar"
echo "$tar.gz: $(($(stat -c %s "$tar.gz") >> 10)) KiB; there: tar xf graft-gpu-check.tar.gz && graft/tools/gpu_check.sh"
