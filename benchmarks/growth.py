"""How cost grows with batch, image size and threads: runs `graft bench` over a grid and prints one JSON line per point.

    python3 benchmarks/growth.py --graft build/release/bin/graft [--model resnet50] [--quick] >> benchmarks/results/FILE.jsonl

Each point is `graft bench --json` with few iterations, in a shuffled (seeded) order, so that a slow minute of the machine does
not look like a bend in a curve. growth_plots.py draws the lines. Needs nothing but Python; no part of any test.
"""
import argparse
import json
import random
import subprocess
import sys

BATCHES = [1, 2, 4, 8, 16, 32, 64, 128]
SIZES = [32, 64, 96, 128, 160, 224, 320, 512]
MEMORY_LIMIT_IMAGES = 128 * 224 * 224  # training at 128 images of 224 pixels needs about 12 GiB; larger points are left out


def points(quick):
    """(task, batch, size, threads): one axis varies, the other stands at 224 pixels or 8 images."""
    batches, sizes = (BATCHES[::2], SIZES[::2]) if quick else (BATCHES, SIZES)
    for task in ("infer", "train"):
        for threads in (1, 2):
            for batch in batches:
                yield task, batch, 224, threads
            for size in sizes:
                if size != 224:
                    yield task, 8, size, threads


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graft", required=True)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--quick", action="store_true", help="every other point")
    options = parser.parse_args()
    grid = [p for p in points(options.quick) if p[1] * p[2] * p[2] <= MEMORY_LIMIT_IMAGES]
    random.Random(0).shuffle(grid)
    for task, batch, size, threads in grid:
        work = batch * size * size / (224 * 224)  # in images of 224 pixels
        iterations = max(3, min(20, int(16 / work)))
        command = [options.graft, "bench", "--json", "--model", options.model, "--precision", options.precision, "--batch", str(batch),
                   "--image-size", str(size), "--threads", str(threads), "--iterations", str(iterations)]
        done = subprocess.run(command + (["--train"] if task == "train" else []), capture_output=True, text=True)
        if done.returncode:
            print(f"{task} batch {batch} size {size} threads {threads}: {done.stderr.strip()}", file=sys.stderr)
            continue
        print(json.dumps(json.loads(done.stdout)), flush=True)


if __name__ == "__main__":
    main()
