#!/usr/bin/env bash
# Asks cuDNN for a plan of every convolution of graft's networks on a described GPU (tests/data/gpu/), in float32, TF32, bfloat16
# and float16: training's three passes and the plan's fused one. Needs cuDNN 9.11 or later, no GPU; about ten minutes.
# Usage: tools/cudnn_survey.sh OUTPUT.jsonl [DEVICE] [BATCH] [NETWORK...]
set -euo pipefail
cd "$(dirname "$0")/.."
output=${1:?usage: tools/cudnn_survey.sh OUTPUT.jsonl [DEVICE] [BATCH] [NETWORK...]}
device=${2:-h200}
batch=${3:-256}
networks=("${@:4}")
[ ${#networks[@]} -gt 0 ] || networks=(resnet18 resnet50 vgg16 mobilenet_v2 squeezenet1_1)
folder=${GRAFT_BUILD:-build/ci}
cmake --preset ci -B "$folder" > /dev/null
cmake --build "$folder" --target cudnn_survey --parallel "$(nproc)" > /dev/null
"$folder/cudnn_survey" "tests/data/gpu/$device.json" "$batch" "${networks[@]}" > "$output.part"
mv "$output.part" "$output"
echo "$(grep -c '"engine"' "$output") graphs have an engine, $(grep -c '"refused"' "$output" || true) have none"
