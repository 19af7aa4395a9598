#!/usr/bin/env python3
"""Runs the graft command with memory that ends at the n-th call, for ever or once, and with threads that cannot be started.
The command then ends with code 4 or, where the memory was not needed, with code 0 and the answer of an undisturbed run:
no signal, no hang, no other code. Usage: failing_memory.py GRAFT LIBRARY [--points N] [--seed N]   (LIBRARY: failing_memory.c, built)"""
import argparse
import collections
import concurrent.futures
import os
import random
import shutil
import subprocess
import sys
import tempfile

from workload import CORPUS, PATIENCE, THREADS, WEIGHTS, commands_at_once, write_photos, write_png

IMAGES = os.path.join(CORPUS, "image")
GRAPH = os.path.join(CORPUS, "graph/network.onnx")


class Driver:
    def __init__(self, graft, library, folder):
        self.graft, self.library, self.folder = graft, library, folder
        self.count = 0

    def run(self, command, faults, out, timeout=60):
        """`command` in a folder of its own `out`; OUT stands for it. Returns code, stdout and stderr."""
        shutil.rmtree(out, ignore_errors=True)
        os.makedirs(out)
        environment = {"PATH": os.environ.get("PATH", ""), "GRAFT_THREADS": THREADS}
        environment.update(faults)
        if faults:
            environment["LD_PRELOAD"] = self.library
        words = [self.graft] + [word.replace("OUT", out) for word in command]
        try:
            done = subprocess.run(words, env=environment, capture_output=True, timeout=timeout * PATIENCE, cwd=self.folder,
                                  stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return "hang", b"", b""
        return done.returncode, done.stdout.replace(out.encode(), b"OUT"), done.stderr

    def check(self, command, faults, expected, out):
        """None, or what was wrong."""
        code, answer, said = self.run(command, faults, out)
        shutil.rmtree(out, ignore_errors=True)
        last = (said.decode("utf-8", "replace").strip().splitlines() or ["nothing was said"])[-1][:200]
        if code == 0 and answer == expected:
            return code, None
        if code == 0:
            return code, "code 0 with another answer"
        if code == 4 and last.startswith("graft: "):
            return code, None
        return code, f"code {code}: {last}"


def scenarios(driver):
    data, model, png = f"{driver.folder}/photos", f"{driver.folder}/model", f"{driver.folder}/a.png"
    write_photos(data)
    write_png(png)
    train = ["--data", data, "--epochs", "1", "--batch", "4", "--image-size", "8"]
    code, _, said = driver.run(["finetune", "--weights", WEIGHTS, "--out", model] + train, {}, f"{driver.folder}/first")
    if code != 0:
        sys.exit(f"the model for the test cannot be made: {said.decode()}")
    trained = f"{model}/model.safetensors"
    jpegs = [f"{IMAGES}/{name}" for name in ("baseline.jpg", "progressive.jpg", "exif_6.jpg")]
    return {
        "inspect": ["inspect", WEIGHTS],
        "inspect a graph": ["inspect", GRAPH],
        "predict": ["predict", trained, png] + jpegs + [f"{data}/c0"],
        "convert": ["convert", WEIGHTS, "OUT/o.onnx"],
        "features": ["features", trained, "--data", data, "--out", "OUT/f.npz"],
        "evaluate": ["evaluate", trained, "--data", data],
        "finetune": ["finetune", "--weights", WEIGHTS, "--out", "OUT/r"] + train,
        "finetune all": ["finetune", "--weights", WEIGHTS, "--out", "OUT/r", "--freeze", "none", "--workers", "2"] + train,
        "verify": ["verify", trained, trained],
    }


def points(total, wanted, rng):
    """The first calls, then any: half of them by their logarithm, for most kinds of call come early."""
    chosen = set(range(1, min(total, wanted // 4) + 1))
    while len(chosen) < min(wanted, total):
        chosen.add(rng.randint(1, total) if rng.random() < 0.5 else int(total ** rng.random()))
    return sorted(chosen)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graft")
    parser.add_argument("library")
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="the name of one scenario")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    faults = 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(commands_at_once()) as pool:
        driver = Driver(os.path.abspath(arguments.graft), os.path.abspath(arguments.library), folder)
        cases = scenarios(driver)
        if arguments.only:
            cases = {arguments.only: cases[arguments.only]}
        each = max(1, arguments.points // (2 * len(cases)))
        for name, command in cases.items():
            _, expected, _ = driver.run(command, {}, f"{folder}/o")
            counted = {"FAULT_MALLOC_COUNT": f"{folder}/count"}
            code, answer, said = driver.run(command, counted, f"{folder}/o")
            if code != 0 or answer != expected:
                sys.exit(f"{name}: an undisturbed run ends with code {code}: {said.decode()}")
            with open(f"{folder}/count") as file:
                total = int(file.read())
            jobs = {}
            for kind in ("FROM", "AT"):
                for n in points(total, each, rng):
                    jobs[pool.submit(driver.check, command, {f"FAULT_MALLOC_{kind}": str(n)}, expected,
                                     f"{folder}/{kind}{n}")] = f"{kind.lower()} call {n}"
            for n in range(4):
                jobs[pool.submit(driver.check, command, {"FAULT_THREADS": str(n), "GRAFT_THREADS": "4"}, expected,
                                 f"{folder}/t{n}")] = f"{n} threads"
            codes, wrong = collections.Counter(), []
            for job, what in jobs.items():
                code, complaint = job.result()
                codes[code] += 1
                if complaint:
                    wrong.append(f"{name}, {what}: {complaint}")
            print(f"{name}: {total} calls, {len(jobs)} runs, codes {dict(codes)}", flush=True)
            for line in wrong[:20]:
                print("  FAULT", line)
            faults += len(wrong)
    if faults:
        sys.exit(f"{faults} runs ended otherwise than with code 4 or the right answer")


main()
