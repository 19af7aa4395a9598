#!/usr/bin/env python3
"""Kills training runs at random moments and resumes them, again and again: the model, its checkpoint and its history end as those
of a run that nobody killed, whatever was lost on the way, and no file of a run is ever torn.
Usage: random_kills.py GRAFT [--kills N] [--seed N] [--only NAME]   (N: of each configuration, about)"""
import argparse
import concurrent.futures
import os
import random
import subprocess
import sys
import tempfile
import time

from workload import WEIGHTS, WHOLE_RUN, commands_at_once, digest, end_of, fresh, is_whole_safetensors, metrics, run, summarise, write_photos

CONFIGURATIONS = {
    "frozen, cached": ["--epochs", "20", "--checkpoint-seconds", "0"],
    "frozen, on disk": ["--epochs", "10", "--augment", "light", "--cache-ram", "0", "--checkpoint-seconds", "0"],
    "frozen, not cached": ["--epochs", "6", "--cache-features", "off", "--optimizer", "sgd", "--checkpoint-seconds", "0"],
    "views": ["--epochs", "12", "--augment", "light"],
    "all": ["--epochs", "4", "--freeze", "none", "--checkpoint-seconds", "0"],
    "all, adam, seldom": ["--epochs", "5", "--freeze", "none", "--optimizer", "adam", "--checkpoint-seconds", "1000"],
    "bf16": ["--epochs", "4", "--freeze", "none", "--precision", "bf16", "--checkpoint-seconds", "0"],
    "in part, adapt": ["--epochs", "4", "--freeze", "stem,layer1", "--bn", "adapt", "--optimizer", "adamw", "--checkpoint-seconds", "0"],
    "int8": ["--epochs", "4", "--int8", "--checkpoint-seconds", "0"],
    "workers": ["--epochs", "4", "--freeze", "none", "--workers", "2", "--checkpoint-seconds", "0"],
}
WHOLE = ["data.json", "last.ckpt.safetensors", "metrics.jsonl", "model.safetensors", "report.html"]


class Series:
    """One configuration: killed and resumed until so many kills, each time from where it was."""
    def __init__(self, graft, data, name, folder):
        self.name, self.folder = name, f"{folder}/{name.replace(' ', '_')}"
        self.words = [graft, "finetune", "--weights", WEIGHTS, "--data", data, "--batch", "4", "--image-size", "8",
                      "--threads", "1"] + CONFIGURATIONS[name]
        self.wrong, self.kills = [], 0

    def measure(self):
        base = f"{self.folder}-base"
        begin = time.monotonic()
        code, _, said = run(self.words + ["--out", base])
        self.seconds = time.monotonic() - begin
        if code != 0:
            raise SystemExit(f"{self.name}: an undisturbed run ends with code {code}: {end_of(said)}")
        self.want = (digest(f"{base}/model.safetensors"), metrics(base))

    def finish(self, kind):
        code, _, said = run(self.resuming())
        if code != 0:
            self.wrong.append(f"{kind}: --resume ends with code {code}: {end_of(said)}")
        elif (digest(f"{self.folder}/model.safetensors"), metrics(self.folder)) != self.want:
            self.wrong.append(f"{kind}: another model or history")
        elif sorted(os.listdir(self.folder)) != WHOLE:
            self.wrong.append(f"{kind}: it leaves {sorted(os.listdir(self.folder))}")
        fresh(self.folder)

    def resuming(self):
        return self.words + ["--out", self.folder] + (["--resume"] if os.path.isdir(self.folder) else [])

    def kill_once(self, rng):
        process = subprocess.Popen(self.resuming(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            code = process.wait(rng.uniform(0.01, self.seconds * 1.05))
            if code != 0:
                self.wrong.append(f"code {code} of a run that was not killed")
            self.finish("after its end")
            return
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.kills += 1
        for name in os.listdir(self.folder) if os.path.isdir(self.folder) else []:
            if name.endswith(".safetensors") and not name.startswith(".") and not is_whole_safetensors(f"{self.folder}/{name}"):
                self.wrong.append(f"{name} is torn")

    def go(self, kills, seed):
        rng = random.Random(f"{seed} {self.name}")
        self.measure()
        for number in range(1, kills + 1):
            self.kill_once(rng)
            if number % 5 == 0:
                self.finish(f"after {self.kills} kills")
        self.finish("at the end")
        return self


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graft")
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=CONFIGURATIONS)
    arguments = parser.parse_args()
    kills = faults = 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(commands_at_once()) as pool:
        write_photos(f"{folder}/photos", each=8)
        names = [arguments.only] if arguments.only else list(CONFIGURATIONS)
        jobs = [pool.submit(Series(os.path.abspath(arguments.graft), f"{folder}/photos", name, folder).go, arguments.kills, arguments.seed)
                for name in names]
        for job in jobs:
            series = job.result()
            print(f"{series.name}: {series.seconds:.2f} s undisturbed, {series.kills} kills, {len(series.wrong)} faults", flush=True)
            for line in series.wrong[:20]:
                print("  FAULT", line, flush=True)
            kills, faults = kills + series.kills, faults + len(series.wrong)
    print(f"{kills} kills, {faults} faults")
    summarise("random_kills", WHOLE_RUN, {}, points=kills, faults=faults, only=arguments.only or "all")
    if faults:
        sys.exit(1)


main()
