#!/usr/bin/env python3
"""Runs the graft command with memory that ends at the n-th call, for ever or once, and with threads that cannot be started.
The command then ends with code 4 or, where the memory was not needed, with code 0 and the answer of an undisturbed run:
no signal, no hang, no other code. Usage: failing_memory.py GRAFT LIBRARY [--points N] [--seed N] [--only NAME] [--part K/N] [--starts LIB]
(LIBRARY: failing_memory.c, built; LIB: many_starts.c, built: only calls before main are then tried with a start of their own)"""
import argparse
import collections
import concurrent.futures
import os
import random
import shutil
import sys
import tempfile

from starts import Commands
from workload import (CORPUS, WEIGHTS, WHOLE_RUN, commands_at_once, part_of, run, summarise, taken, write_photos, write_png)

IMAGES = os.path.join(CORPUS, "image")
GRAPH = os.path.join(CORPUS, "graph/network.onnx")


class Driver:
    def __init__(self, graft, library, folder, loaded):
        self.graft, self.library, self.folder, self.loaded = graft, library, folder, loaded

    def run(self, command, faults, out, anew=True):
        """`command` in a folder of its own `out`; OUT stands for it. Returns code, stdout and stderr. anew: a start of its own."""
        shutil.rmtree(out, ignore_errors=True)
        os.makedirs(out)
        words = [self.graft] + [word.replace("OUT", out) for word in command]
        if anew:
            code, answer, said = run(words, faults | ({"LD_PRELOAD": self.library} if faults else {}), folder=self.folder)
        else:
            code, answer, said = self.loaded.run(words, faults, folder=self.folder)
        return code, answer.replace(out.encode(), b"OUT"), said

    def calls(self, name, command, expected, anew):
        """How many allocations an undisturbed run makes."""
        count = f"{self.folder}/count"
        code, answer, said = self.run(command, {"FAULT_MALLOC_COUNT": count}, f"{self.folder}/o", anew)
        if code != 0 or answer != expected:
            sys.exit(f"{name}: an undisturbed run ends with code {code}: {said.decode()}")
        with open(count) as file:
            return int(file.read())

    def check_call(self, command, kind, call, before_main, expected, out):
        """check, where this allocation fails; those before main need a start of their own."""
        anew = call <= before_main or not self.loaded.library
        return self.check(command, {f"FAULT_MALLOC_{kind}": str(call if anew else call - before_main)}, expected, out, anew)

    def check(self, command, faults, expected, out, anew=True):
        """The code, and None or what was wrong."""
        code, answer, said = self.run(command, faults, out, anew)
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


def points(total, wanted, seed):
    """The first calls, then any: half of them by their logarithm, for most kinds of call come early. In an order in which each has
    its own draws, so that a part of them is the same whichever part is asked for (but for a call or two where threads make the total
    another by as many)."""
    order = list(range(1, min(total, wanted // 4) + 1))
    chosen = set(order)
    while len(order) < min(wanted, total):
        rng, call = random.Random(f"{seed} {len(order)}"), 0
        while call in chosen or call == 0:
            call = rng.randint(1, total) if rng.random() < 0.5 else int(total ** rng.random())
        chosen.add(call)
        order.append(call)
    return order


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graft")
    parser.add_argument("library")
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="the name of one scenario")
    parser.add_argument("--part", type=part_of, default=WHOLE_RUN)
    parser.add_argument("--starts", default="")
    arguments = parser.parse_args()
    graft, library, faults, all_codes = os.path.abspath(arguments.graft), os.path.abspath(arguments.library), 0, collections.Counter()
    with tempfile.TemporaryDirectory() as folder, Commands(graft, arguments.starts, library) as loaded, \
            concurrent.futures.ThreadPoolExecutor(commands_at_once()) as pool:
        driver = Driver(graft, library, folder, loaded)
        cases = scenarios(driver)
        if arguments.only:
            cases = {arguments.only: cases[arguments.only]}
        each = max(1, arguments.points // (2 * len(cases)))
        for name, command in cases.items():
            _, expected, _ = driver.run(command, {}, f"{folder}/o")
            total = driver.calls(name, command, expected, True)
            before_main = max(0, total - driver.calls(name, command, expected, False)) if arguments.starts else 0
            jobs = {}
            for kind in ("FROM", "AT"):
                for n in taken(points(total, each, f"{arguments.seed} {name} {kind}"), arguments.part):
                    jobs[pool.submit(driver.check_call, command, kind, n, before_main, expected,
                                     f"{folder}/{kind}{n}")] = f"{kind.lower()} call {n}"
            for n in taken(range(4), arguments.part):
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
            all_codes.update(codes)
    summarise("failing_memory", arguments.part, all_codes, points=sum(all_codes.values()), faults=faults)
    if faults:
        sys.exit(f"{faults} runs ended otherwise than with code 4 or the right answer")


main()
