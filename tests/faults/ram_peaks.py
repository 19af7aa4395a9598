#!/usr/bin/env python3
"""Runs finetune with --ram on photos whose decoders take much, with other numbers of threads and workers: what was resident keeps
within what was planned, from the first look at the images to the test part; the plan does not depend on the threads; a photo that
does not fit is refused by name, with code 4, before it is decoded.
Usage: ram_peaks.py GRAFT [--megapixels N] [--threads N ...]"""
import argparse
import os
import re
import shutil
import sys
import tempfile

from workload import WEIGHTS, WHOLE_RUN, end_of, fresh, peak_of, summarise, write_png, write_progressive_jpeg


def write_set(folder, kind, width, height):
    """Two classes in three parts, the largest photo in the test part."""
    for part, each in (("train", 4), ("val", 2), ("test", 2)):
        for label in ("a", "b"):
            os.makedirs(f"{folder}/{part}/{label}")
            for i in range(each):
                name, more = f"{folder}/{part}/{label}/{i}", 8 * (i + (part == "test") * each)
                if kind == "png":
                    write_png(name + ".png", width + more, height)
                else:
                    write_progressive_jpeg(name + ".jpg", width + more, height, f"{part} {label} {i}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graft")
    parser.add_argument("--megapixels", type=float, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 8])
    arguments = parser.parse_args()
    if arguments.megapixels < 3:
        parser.error("of less than 3 megapixels a photo is not what 66 MiB are too small for")
    if not os.path.exists("/usr/bin/time"):
        print("SKIPPED: memory is measured by /usr/bin/time, which is not here")
        return
    graft, faults, runs, multiple = os.path.abspath(arguments.graft), 0, 0, 0
    height = int((arguments.megapixels * 1e6 * 3 / 4) ** 0.5)

    def complain(words):
        nonlocal faults
        faults += 1
        print("  FAULT", words, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        for kind in ("progressive jpeg", "png"):
            data = f"{folder}/{kind[:3]}"
            write_set(data, kind, height * 4 // 3, height)
            words = [graft, "finetune", "--weights", WEIGHTS, "--data", data, "--epochs", "1", "--freeze", "none", "--batch", "4",
                     "--out", f"{folder}/run", "--overwrite"]
            for workers in (0, 2):
                plans = set()
                for threads in arguments.threads:
                    fresh(f"{folder}/run")
                    runs += 1
                    code, said, peak = peak_of(words + ["--ram", "1G", "--threads", str(threads), "--workers", str(workers)],
                                               f"{folder}/peak")
                    found = re.search(rb"peak planned: (\d+) MiB", said)
                    what = f"{kind}, {threads} threads, {workers} workers"
                    if code != 0 or not found:
                        complain(f"{what}: code {code}: {end_of(said)}")
                        continue
                    plans.add(int(found[1]))
                    multiple = max(multiple, peak / 1024 / int(found[1]))
                    print(f"{what}: {peak / 1024:.0f} MiB resident of {int(found[1])} planned", flush=True)
                    if peak > int(found[1]) * 1024:
                        complain(f"{what}: more than was planned")
                if len(plans) > 1:
                    complain(f"{kind}, {workers} workers: several plans: {sorted(plans)}")
            fresh(f"{folder}/run")
            runs += 1
            code, said, peak = peak_of(words + ["--ram", "66M", "--threads", "8"], f"{folder}/peak")
            if code != 4 or b": decoding its " not in said or peak > 66 * 1024:
                complain(f"{kind} in 66 MiB: code {code}, {peak // 1024} MiB resident: {end_of(said)}")
            shutil.rmtree(data)
    print(f"{runs} runs, {faults} faults")
    summarise("ram_peaks", WHOLE_RUN, {}, points=runs, faults=faults, planned_multiple=round(multiple, 2))
    if faults:
        sys.exit(1)


main()
