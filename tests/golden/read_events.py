"""Reads a TensorBoard folder of `graft finetune --tensorboard DIR` by TensorBoard's own reader and checks what must be there.

    python3 tests/golden/read_events.py DIR [EPOCHS]
Needs pip's tensorboard. Exit status 1, with the reason, when something is missing.
"""
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

folder, epochs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None
log = EventAccumulator(folder, size_guidance={"scalars": 0, "tensors": 0, "images": 0})
log.Reload()
tags = log.Tags()
print(tags["scalars"], tags["tensors"], tags["images"])
for tag in ("loss/train", "loss/validation", "learning rate"):
    if tag not in tags["scalars"]:
        sys.exit(f"there is no scalar {tag}")
    steps = [event.step for event in log.Scalars(tag)]
    print(tag, [(event.step, round(event.value, 4)) for event in log.Scalars(tag)])
    if steps != sorted(steps) or (epochs and steps != list(range(1, epochs + 1))):
        sys.exit(f"{tag}: epochs {steps}")
text = [log.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in tags["tensors"]]
if not any("graft finetune" in one for one in text):
    sys.exit("there is no text of the command")
