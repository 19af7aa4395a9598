"""Draws what growth.py measured: images a second, and milliseconds and memory an image, over batch and over image size.

    python3 benchmarks/growth_plots.py benchmarks/results/FILE.jsonl docs/images/growth    # -> growth-batch.svg, growth-size.svg

Needs matplotlib. The curves are relative to work: GFLOP/s (2 x multiply-adds; training counts three forward passes), so that a flat
line means that cost is proportional to work.
"""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

matplotlib.rcParams["svg.hashsalt"] = "graft"  # the same bytes for the same data
GFLOP_224 = {"resnet50": 8.18, "resnet18": 3.63}  # one image of 224 pixels, forward


def gflops(row):
    work = GFLOP_224[row["model"]] * (row["image_size"] / 224) ** 2 * (3 if row["task"] == "train" else 1)
    return row["images_per_s"] * work


def main(source, prefix):
    rows = [json.loads(line) for line in pathlib.Path(source).read_text().splitlines() if line.startswith("{")]
    axes = {"batch": ("batch", lambda r: r["image_size"] == 224, "images a step (224 x 224)"),
            "size": ("image_size", lambda r: r["batch"] == 8, "side of an image in pixels (8 images a step)")}
    for name, (key, keep, label) in axes.items():
        figure, (speed, memory) = plt.subplots(1, 2, figsize=(10, 3.6))
        for task, marker in (("infer", "o"), ("train", "s")):
            for threads, style in ((1, "--"), (2, "-")):
                line = sorted((r[key], gflops(r), r["peak_rss_mib"]) for r in rows if keep(r) and r["task"] == task and r["threads"] == threads)
                if not line:
                    continue
                title = f"{'training' if task == 'train' else 'inference'}, {threads} thread{'s' if threads > 1 else ''}"
                speed.plot([p[0] for p in line], [p[1] for p in line], style, marker=marker, markersize=4, label=title)
                if threads == 2:
                    memory.plot([p[0] for p in line], [p[2] for p in line], style, marker=marker, markersize=4, label=title)
        for axis, unit in ((speed, "GFLOP/s"), (memory, "peak memory, MiB")):
            axis.set_xscale("log", base=2)
            ticks = sorted({r[key] for r in rows if keep(r)})
            axis.set_xticks(ticks, [str(t) for t in ticks])
            axis.set_xlabel(label)
            axis.set_ylabel(unit)
            axis.set_ylim(bottom=0)
            axis.grid(alpha=0.3)
            axis.legend(fontsize=8)
        figure.tight_layout()
        figure.savefig(f"{prefix}-{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:3])
