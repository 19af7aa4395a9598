#!/usr/bin/env python3
"""Runs graft with the n-th call on files failing, cut short, or ending the process, at every kind of call of every file.
What is written must then be the former file or the finished one; a call that fails ends in code 3 or 4 with one sentence, or did
not matter to the result; nothing half-written stays behind a failure; a run that was killed goes on to the same bits.
Usage: io_faults.py GRAFT LIBRARY [--points N] [--seed N] [--only NAME] [--part K/N] [--starts LIB]   (LIBRARY: failing_io.c, built;
N: at most, of each scenario and mode; 0: all; NAME: a scenario's, or a word of several: finetune, finetune all, from disk, resume,
convert, features, evaluate, predict; LIB: many_starts.c, built)"""
import argparse
import collections
import concurrent.futures
import errno
import hashlib
import os
import random
import re
import shutil
import sys
import tempfile

from starts import Commands
from workload import (WEIGHTS, WHOLE_RUN, commands_at_once, digest, end_of, fresh, is_whole_safetensors, metrics, part_of, run, summarise,
                      taken, train_model, training_flags, write_photos)

MODES = {"once EIO": ("once", errno.EIO), "from ENOSPC": ("from", errno.ENOSPC), "short": ("short", 0),
         "kill": ("kill", 0), "torn": ("torn", 0)}


class Scenario:
    """words: the command, with OUT for its folder; result: the file that matters ("": standard output); former: what stood in its
    place; before: a folder that OUT begins as; resumes: a run that goes on with --resume."""
    def __init__(self, words, result, former=False, before="", resumes=False):
        self.words, self.result, self.former, self.before, self.resumes = words, result, former, before, resumes

    def prepare(self, out):
        fresh(out)
        if self.before:
            shutil.copytree(self.before, out)
        elif not self.resumes:
            os.makedirs(out)
        if self.former:
            with open(f"{out}/{self.result}", "w") as file:
                file.write("FORMER")


def leave_half(graft, library, words, out):
    """A run of two epochs that ended as it was about to note the second."""
    faults = {"LD_PRELOAD": library, "FAULT_IO_PATH": f"{out}/metrics.jsonl", "FAULT_IO_LOG": f"{out}.journal"}
    run([graft] + words, faults)
    with open(f"{out}.journal") as file:
        opened = [number for number, line in enumerate(file, 1) if line.startswith("open to write")]
    fresh(out)
    run([graft] + words, faults | {"FAULT_IO_AT": str(opened[-1]), "FAULT_IO_MODE": "kill"})
    if len(metrics(out)) != 1:
        raise SystemExit("the run to go on with is not of one epoch")


def scenarios(graft, library, folder):
    data, weights = f"{folder}/photos", f"{folder}/weights.th"
    write_photos(data)
    shutil.copy(WEIGHTS, weights)
    trained = train_model(graft, data, f"{folder}/model")
    train = ["finetune", "--weights", weights, "--out", "OUT"] + training_flags(data)
    half = f"{folder}/half"
    leave_half(graft, library, [word.replace("OUT", half) for word in train], half)
    features = ["features", trained, "--data", data, "--out", "OUT/f.npz"]
    return {
        "finetune": Scenario(train, "model.safetensors", resumes=True),
        "finetune all": Scenario(train + ["--freeze", "none"], "model.safetensors", resumes=True),
        "finetune from disk": Scenario(train + ["--cache-ram", "0"], "model.safetensors", resumes=True),
        "resume": Scenario(train + ["--resume"], "model.safetensors", before=half, resumes=True),
        "convert safetensors": Scenario(["convert", weights, "OUT/o.safetensors"], "o.safetensors", former=True),
        "convert onnx": Scenario(["convert", weights, "OUT/o.onnx"], "o.onnx", former=True),
        "convert npz": Scenario(["convert", weights, "OUT/o.npz"], "o.npz", former=True),
        "features": Scenario(features, "f.npz", former=True),
        "evaluate": Scenario(["evaluate", trained, "--data", data, "--report", "OUT/e.html"], "e.html", former=True),
        "predict": Scenario(["predict", trained, data], ""),
    }


class Driver:
    def __init__(self, commands, name, scenario, folder):
        self.commands, self.name, self.scenario, self.folder = commands, name, scenario, folder
        self.below = os.path.dirname(folder) + "/"  # of photos, model and everything that is written

    def words(self, out):
        return [self.commands.graft] + [word.replace("OUT", out) for word in self.scenario.words]

    def undisturbed(self):
        """Records what an undisturbed run leaves, and which calls it makes."""
        out, journal = f"{self.folder}/want", f"{self.folder}/journal"
        self.scenario.prepare(out)
        code, answer, said = self.commands.run(self.words(out), {"FAULT_IO_PATH": self.below, "FAULT_IO_LOG": journal})
        if code != 0:
            raise SystemExit(f"{self.name}: an undisturbed run ends with code {code}: {end_of(said)}")
        self.want = self.result_of(out, answer)
        self.files = sorted(os.listdir(out))
        self.history = metrics(out) if self.scenario.resumes else None
        with open(journal) as file:
            self.calls = [re.sub(r"tmp-[0-9a-f]+", "tmp", line.rstrip("\n").replace(out, "OUT")) for line in file]
        fresh(out)

    def result_of(self, out, answer):
        if not self.scenario.result:
            return answer
        path = f"{out}/{self.scenario.result}"
        if not path.endswith(".html") or not os.path.exists(path):
            return digest(path)
        with open(path, "rb") as file:  # a report says the command, and with it the folder
            return hashlib.sha256(file.read().replace(out.encode(), b"OUT")).hexdigest()

    def points(self, most, seed):
        """Of each row of like calls the first two, the middle and the last; at most so many."""
        chosen, begin = [], 0
        while begin < len(self.calls):
            end = begin
            while end < len(self.calls) and self.calls[end] == self.calls[begin]:
                end += 1
            chosen += sorted({begin, min(begin + 1, end - 1), (begin + end - 1) // 2, end - 1})
            begin = end
        if most and len(chosen) > most:
            chosen = sorted(random.Random(seed).sample(chosen, most))
        return [point + 1 for point in chosen]

    def check(self, mode, point):
        """The code, and what was wrong."""
        kind, number = MODES[mode]
        out = f"{self.folder}/{kind}{point}"
        self.scenario.prepare(out)
        code, answer, said = self.commands.run(self.words(out), {"FAULT_IO_PATH": self.below, "FAULT_IO_AT": str(point), "FAULT_IO_MODE": kind,
                                                                 "FAULT_IO_ERRNO": str(number)})
        wrong = self.faults_of(kind, code, answer, said, out)
        fresh(out)
        expected_kill = code == -9 and kind in ("kill", "torn")
        return "killed" if expected_kill else code, [f"{self.name}, {mode}, call {point} ({self.calls[point - 1]}): {what}" for what in wrong]

    def faults_of(self, kind, code, answer, said, out):
        wrong, result = [], f"{out}/{self.scenario.result}"
        left = sorted(os.listdir(out)) if os.path.isdir(out) else []
        if kind in ("kill", "torn"):
            if code not in (-9, 0):
                wrong.append(f"code {code}: {end_of(said)}")
        elif code not in (0, 3, 4):
            wrong.append(f"code {code}: {end_of(said)}")
        elif code != 0 and not (end_of(said).startswith("graft: ") or "could not be read" in end_of(said)):
            wrong.append(f"no sentence: {end_of(said)}")
        if kind == "short" and code != 0:
            wrong.append(f"half a read or write is no failure, but: {end_of(said)}")
        if kind in ("once", "short") and any(".graft-tmp-" in name for name in left):
            wrong.append(f"left behind: {left}")
        if kind in ("once", "short") and code == 0 and left != self.files:
            wrong.append(f"code 0, but the folder holds {left}")
        if code == 0 and self.result_of(out, answer) != self.want:
            wrong.append("code 0, but another result")
        if self.scenario.former and self.result_of(out, answer) != self.want:
            with open(result, errors="replace") as file:
                text = file.read()
            # A report of the images that could be read is whole as well.
            if text != "FORMER" and not (code == 3 and text.rstrip().endswith("</html>")):
                wrong.append("the file is neither the former nor the finished one")
        for name in left:
            if name.endswith(".safetensors") and not self.scenario.former and not is_whole_safetensors(f"{out}/{name}"):
                wrong.append(f"{name} is torn")
        return wrong + (self.faults_of_resuming(out) if self.scenario.resumes else [])

    def faults_of_resuming(self, out):
        words = self.words(out) + ([] if "--resume" in self.scenario.words else ["--resume"])
        code, _, said = self.commands.run(words)
        if code != 0:
            return [f"--resume ends with code {code}: {end_of(said)}"]
        wrong = []
        if digest(f"{out}/{self.scenario.result}") != self.want:
            wrong.append("--resume gives another model")
        if sorted(os.listdir(out)) != self.files:
            wrong.append(f"--resume leaves {sorted(os.listdir(out))}")
        if metrics(out) != self.history:
            wrong.append("--resume gives another history")
        return wrong


def chosen_of(cases, name):
    """The scenarios that --only means: of this name, else those whose names hold it."""
    if name is None or name in cases:
        return {name: cases[name]} if name else cases
    return {key: scenario for key, scenario in cases.items() if name in key}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graft")
    parser.add_argument("library")
    parser.add_argument("--points", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("--part", type=part_of, default=WHOLE_RUN)
    parser.add_argument("--starts", default="")
    arguments = parser.parse_args()
    total, faults, all_codes = 0, 0, collections.Counter()
    graft, library = os.path.abspath(arguments.graft), os.path.abspath(arguments.library)
    with tempfile.TemporaryDirectory() as folder, Commands(graft, arguments.starts, library) as commands, \
            concurrent.futures.ThreadPoolExecutor(commands_at_once()) as pool:
        for name, scenario in chosen_of(scenarios(graft, library, folder), arguments.only).items():
            place = f"{folder}/{name.replace(' ', '_')}"
            os.makedirs(place)
            driver = Driver(commands, name, scenario, place)
            driver.undisturbed()
            cases = [(mode, point) for mode in MODES for point in driver.points(arguments.points, f"{arguments.seed} {name} {mode}")]
            jobs = [pool.submit(driver.check, mode, point) for mode, point in taken(cases, arguments.part)]
            codes, wrong = collections.Counter(), []
            for job in jobs:
                code, complaints = job.result()
                codes[code] += 1
                wrong += complaints
            print(f"{name}: {len(driver.calls)} calls, {len(jobs)} runs, codes {dict(codes)}", flush=True)
            for line in wrong[:20]:
                print("  FAULT", line, flush=True)
            total, faults = total + len(jobs), faults + len(wrong)
            all_codes.update(codes)
    print(f"{total} runs, {faults} faults")
    summarise("io_faults", arguments.part, all_codes, points=total, faults=faults)
    if faults or total == 0:
        sys.exit(1)


main()
