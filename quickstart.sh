#!/usr/bin/env bash
# From a bare clone to a fine-tuned network: installs what the release command needs, builds it, fine-tunes a real
# pretrained network on real images, and runs the same recipe from random weights, so that you see what transfer bought.
# Usage: ./quickstart.sh [FOLDER]   (default quickstart-run: model, report and data go there)
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-quickstart-run}
began=$SECONDS
train_images=10000
fashion=/usr/share/datasets/fashion-mnist
weights=examples/pretrained/cifar10_resnet20.th

tools/install_packages.sh release
echo "== building the graft command (release)"
options=()
if command -v ccache >/dev/null; then
  export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
  options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
cmake --preset release "${options[@]}" >/dev/null
cmake --build build/release --parallel "$(nproc)" --target graft_command
graft=build/release/bin/graft

# The first 10,000 of Fashion-MNIST's 60,000 training images and all 10,000 test images, as IDX files. An IDX file is a
# big-endian header (magic, count, rows, columns) and the bytes.
data=$out/fashion-mnist-10k
mkdir -p "$data"
count='\x00\x00\x27\x10'  # 10,000
{ printf "\x00\x00\x08\x03$count\x00\x00\x00\x1c\x00\x00\x00\x1c"
  gzip -dc $fashion/train-images-idx3-ubyte.gz | tail -c +17 | head -c $((train_images * 784)) || true
} > "$data/train-images-idx3-ubyte"
{ printf "\x00\x00\x08\x01$count"
  gzip -dc $fashion/train-labels-idx1-ubyte.gz | tail -c +9 | head -c $train_images || true
} > "$data/train-labels-idx1-ubyte"
cp $fashion/t10k-images-idx3-ubyte.gz $fashion/t10k-labels-idx1-ubyte.gz "$data/"

# Grey images enter the 3-channel network with their one channel repeated.
recipe=(--data "$data" --image-size 32 --augment none --epochs 1 --batch 32
        --optimizer adam --lr 3e-3 --schedule onecycle --seed 0 --overwrite)
echo "== fine-tuning a CIFAR-10 ResNet-20 (all layers) on $train_images Fashion-MNIST images, one epoch"
$graft finetune --weights $weights --freeze none --channels repeat "${recipe[@]}" --out "$out/finetuned"
echo "== the same recipe from random weights"
$graft pretrain --arch cifar_resnet20 "${recipe[@]}" --out "$out/from-random"

accuracy() { "$graft" evaluate "$1/model.safetensors" --data "$data" --json | sed -n 's/^ *"accuracy": *\([0-9.e-]*\).*/\1/p' | head -n 1; }
transfer=$(accuracy "$out/finetuned")
random=$(accuracy "$out/from-random")
cat <<EOM

Fashion-MNIST, all 10,000 test images, after one epoch on $train_images training images:
  from pretrained weights  $transfer
  from random weights      $random
model   $out/finetuned/model.safetensors
report  $out/finetuned/report.html
Next: $graft predict $out/finetuned/model.safetensors IMAGE; $graft finetune --help
$((SECONDS - began)) s from start to finish
EOM
awk -v a="$transfer" 'BEGIN { exit !(a >= 0.88) }' || { echo "quickstart: accuracy $transfer is below 0.88" >&2; exit 1; }
