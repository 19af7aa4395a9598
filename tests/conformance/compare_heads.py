#!/usr/bin/env python3
"""A frozen backbone's new head: graft's default recipe beside scikit-learn's logistic regression on the same features.

Usage: compare_heads.py --weights FILE [FILE...] --data FOLDER [--image-size 128] [--seeds 3] [--share 0.8] [--graft build/release/bin/graft]
FOLDER has a folder of images a class; each seed holds out another share of every class. `graft features` computes the features
of both parts, scikit-learn learns on them (standardised by the training part, C = 0.01), `graft finetune` learns with its default
flags. Prints one JSON line a run and one with the means a weight file. Needs numpy and scikit-learn.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import tempfile

import numpy as np
from sklearn.linear_model import LogisticRegression

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENDINGS = {".jpg", ".jpeg", ".png", ".bmp"}


def split(data, folder, seed, share):
    """Links to the images of `data` under folder/train and folder/val."""
    rng = random.Random(seed)
    for name in sorted(entry.name for entry in data.iterdir() if entry.is_dir()):
        images = sorted(path for path in (data / name).iterdir() if path.suffix.lower() in ENDINGS)
        rng.shuffle(images)
        kept = round(share * len(images))
        for part, members in (("train", images[:kept]), ("val", images[kept:])):
            (folder / part / name).mkdir(parents=True)
            for path in members:
                os.symlink(path.resolve(), folder / part / name / path.name)


def scikit_learn(file, C):
    with np.load(file) as loaded:
        x, y, x_val, y_val = (loaded[key] for key in ("x", "y", "x_val", "y_val"))
    mean, deviation = x.mean(0), x.std(0) + 1e-6
    model = LogisticRegression(C=C, max_iter=1000).fit((x - mean) / deviation, y)
    return model.score((x_val - mean) / deviation, y_val)


def graft_finetune(graft, weights, data, size, seed, out):
    command = [graft, "finetune", "--weights", weights, "--data", str(data), "--image-size", str(size), "--seed", str(seed), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    epochs = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    accuracies = [epoch["val_accuracy"] for epoch in epochs]
    return max(accuracies), accuracies[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="+", required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--graft", default=str(ROOT / "build/release/bin/graft"))
    o = parser.parse_args()
    for weights in o.weights:
        rows = []
        for seed in range(o.seeds):
            with tempfile.TemporaryDirectory() as temporary:
                folder = pathlib.Path(temporary)
                split(o.data, folder / "data", seed, o.share)
                features = folder / "features.npz"
                subprocess.run([o.graft, "features", weights, "--data", folder / "data", "--image-size", str(o.image_size), "--out", features],
                               check=True, stdout=subprocess.DEVNULL)
                best, last = graft_finetune(o.graft, weights, folder / "data", o.image_size, seed, folder / "run")
                rows.append({"weights": pathlib.Path(weights).name, "seed": seed, "graft_best": best, "graft_last": last, "scikit_learn": scikit_learn(features, 0.01)})
            print(json.dumps(rows[-1]), flush=True)
        mean = {key: round(float(np.mean([row[key] for row in rows])), 4) for key in ("graft_best", "graft_last", "scikit_learn")}
        print(json.dumps({"weights": rows[0]["weights"], "mean_of": o.seeds, **mean}), flush=True)


if __name__ == "__main__":
    main()
