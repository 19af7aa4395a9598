#!/usr/bin/env python3
"""One recipe, one result: every configuration gives the same model and history again, with other numbers of threads and workers,
with features from memory, from disk or computed anew, and with checkpoints at other times.
Usage: determinism.py GRAFT [--configurations N] [--variants N] [--part K/N]   (the first N of each; all without; parts: of the
configurations)"""
import argparse
import os
import sys
import tempfile

from workload import WEIGHTS, WHOLE_RUN, digest, end_of, fresh, metrics, part_of, run, summarise, taken, write_photos

FINETUNE = ["finetune", "--weights", WEIGHTS]
CONFIGURATIONS = {
    "frozen": FINETUNE + ["--epochs", "3"],
    "all, sgd": FINETUNE + ["--epochs", "2", "--freeze", "none"],
    "frozen, views": FINETUNE + ["--epochs", "5", "--augment", "light"],
    "frozen, changed anew": FINETUNE + ["--epochs", "2", "--augment", "light", "--views", "0"],
    "all, bf16, adamw": FINETUNE + ["--epochs", "2", "--freeze", "none", "--precision", "bf16", "--optimizer", "adamw"],
    "frozen, bf16": FINETUNE + ["--epochs", "2", "--precision", "bf16"],
    "in part": FINETUNE + ["--epochs", "2", "--freeze", "stem,layer1"],
    "in part, train": FINETUNE + ["--epochs", "2", "--freeze", "stem", "--bn", "train"],
    "all, adapt, batch 7": FINETUNE + ["--epochs", "2", "--freeze", "none", "--bn", "adapt", "--batch", "7"],
    "all, source": FINETUNE + ["--epochs", "2", "--freeze", "none", "--bn", "source"],
    "all, adam, onecycle": FINETUNE + ["--epochs", "2", "--freeze", "none", "--optimizer", "adam", "--schedule", "onecycle"],
    "all, step, no augmentation": FINETUNE + ["--epochs", "2", "--freeze", "none", "--schedule", "step", "--augment", "none"],
    "int8": FINETUNE + ["--epochs", "2", "--int8"],
    "weights": FINETUNE + ["--epochs", "2", "--balance", "weights"],
    "sampling": FINETUNE + ["--epochs", "2", "--balance", "sampling", "--freeze", "none"],
    "squash": FINETUNE + ["--epochs", "2", "--resize", "squash"],
    "pad, seed": FINETUNE + ["--epochs", "2", "--resize", "pad", "--seed", "7"],
    "patience": FINETUNE + ["--epochs", "12", "--patience", "2"],
    "grey": FINETUNE + ["--epochs", "2", "--freeze", "none", "--channels", "sum-conv1"],
    "pretrain": ["pretrain", "--arch", "cifar_resnet20", "--epochs", "2"],
}
VARIANTS = {
    "again": ["--threads", "1"],
    "4 threads, 4 workers": ["--threads", "4", "--workers", "4"],
    "2 threads": ["--threads", "2"],
    "features on disk": ["--cache-ram", "0", "--threads", "2"],
    "1 worker": ["--threads", "1", "--workers", "1"],
    "4 threads": ["--threads", "4"],
    "2 workers": ["--threads", "2", "--workers", "2"],
    "checkpoints always": ["--checkpoint-seconds", "0", "--threads", "2"],
    "checkpoints never": ["--checkpoint-seconds", "1000000", "--threads", "3"],
    "3 threads by the environment": [],
}


def outcome(graft, data, words, out):
    fresh(out)
    code, _, said = run([graft] + words + ["--data", data, "--image-size", "16", "--out", out],
                        {"GRAFT_THREADS": "3"})
    if code != 0:
        return f"code {code}: {end_of(said)}"
    return digest(f"{out}/model.safetensors"), metrics(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graft")
    parser.add_argument("--configurations", type=int, default=len(CONFIGURATIONS))
    parser.add_argument("--variants", type=int, default=len(VARIANTS))
    parser.add_argument("--part", type=part_of, default=WHOLE_RUN)
    arguments = parser.parse_args()
    chosen = taken(list(CONFIGURATIONS.items())[:arguments.configurations], arguments.part)
    graft, runs, faults = os.path.abspath(arguments.graft), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/photos"
        write_photos(data, each=9, side=20)
        os.remove(f"{data}/c1/0.ppm")  # classes of uneven size
        for name, words in chosen:
            want = outcome(graft, data, words + ["--threads", "1"], f"{folder}/run")
            if isinstance(want, str):
                sys.exit(f"{name}: {want}")
            different = []
            for variant, flags in list(VARIANTS.items())[:arguments.variants]:
                runs += 1
                got = outcome(graft, data, words + flags, f"{folder}/run")
                if got != want:
                    different.append(f"{variant}: {got if isinstance(got, str) else 'another model or history'}")
            print(f"{name}: {len(different)} differ", flush=True)
            for line in different:
                print("  FAULT", line, flush=True)
            faults += len(different)
    print(f"{runs} runs beside {len(chosen)}, {faults} faults")
    summarise("determinism", arguments.part, {}, points=runs, faults=faults)
    if faults:
        sys.exit(1)


main()
