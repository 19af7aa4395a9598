#!/usr/bin/env bash
# Installs the Debian / Ubuntu packages that graft needs and that are missing, and says which.
# Usage: tools/install_packages.sh release|tests|ci    (tests: and GoogleTest; ci: and ccache, clang with libFuzzer, valgrind, libavif and libheif for the sanitizers' build)
set -euo pipefail
packages="g++ cmake ninja-build libjpeg-dev libwebp-dev libtiff-dev zlib1g-dev nlohmann-json3-dev libeigen3-dev libstb-dev libcli11-dev libhdf5-dev dataset-fashion-mnist"
case "${1:-release}" in
  release) ;;
  tests) packages="$packages libgtest-dev" ;;
  ci) packages="$packages libgtest-dev libavif-dev libheif-dev ccache clang clang-format-14 libclang-rt-dev valgrind" ;;
  *) echo "usage: $0 release|tests|ci" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "This is no Debian or Ubuntu: make sure that the equivalents of these packages are installed: $packages" >&2
  exit 0
fi
missing=""
for package in $packages; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

become_root=""
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "Please install as root:$missing" >&2; exit 1; }
  become_root="sudo"
fi
echo "Installing system packages:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
$become_root apt-get update -qq
# shellcheck disable=SC2086
$become_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
