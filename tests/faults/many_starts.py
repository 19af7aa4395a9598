#!/usr/bin/env python3
"""The same cases with many_starts.c and without: damaged files, sound ones, failing allocations and calls on files end with the same
codes, sentences and files. Usage: many_starts.py GRAFT LIBRARY [--count N] [--memory LIB] [--io LIB]
(LIBRARY: many_starts.c, built; LIB: failing_memory.c and failing_io.c)"""
import argparse
import os
import random
import re
import shutil
import sys
import tempfile

from mutations import mutated, targets
from starts import Commands
from workload import WEIGHTS, digest, summarise


def left_in(folder):
    """What a command left: each file's digest, but for reports and logs, which hold times."""
    found = {}
    for at, _, names in os.walk(folder):
        for name in names:
            if not name.endswith((".html", ".jsonl", ".json", ".ckpt.safetensors")):
                found[os.path.relpath(os.path.join(at, name), folder)] = digest(os.path.join(at, name))
    return found


def without_times(text):
    """Lines without those that say how fast it went, or come only after some time ("looking at images: 3 of 8")."""
    return [line for line in text.decode("utf-8", "replace").splitlines()
            if "images/s" not in line and " s\t" not in line and not re.fullmatch(r"[\w ,]+: \d+ of \d+", line)]


def damaged_files(graft, folder, count):
    wanted = targets(graft, folder)
    names = list(wanted)
    for number in range(count):
        target, rng = wanted[names[number % len(names)]], random.Random(number)
        ending, content = rng.choice(target.seeds)
        command = rng.choice(target.commands)

        def prepare(place, target=target, ending=ending, content=mutated(content, rng) if number % 3 else content):
            target.place(place, ending, content)
        path = f"{folder}/case/{target.name}{ending}"
        yield f"{names[number % len(names)]} {number}", [word.replace("FILE", path).replace("OUT", f"{folder}/case") for word in command], {}, prepare


def outcome(commands, words, environment, prepare, place):
    shutil.rmtree(place, ignore_errors=True)
    prepare(place)
    code, answer, said = commands.run([commands.graft] + words, environment, folder=place)
    return code, without_times(answer), without_times(said), left_in(place)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graft")
    parser.add_argument("library")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--memory", default="")
    parser.add_argument("--io", default="")
    arguments = parser.parse_args()
    graft, cases, faults = os.path.abspath(arguments.graft), 0, 0

    def compare(preload, wanted, place):
        nonlocal cases, faults
        with Commands(graft, "", preload) as anew, Commands(graft, arguments.library, preload) as forked:
            for what, words, environment, prepare in wanted:
                want, got = (outcome(commands, words, environment, prepare, place) for commands in (anew, forked))
                cases += 1
                for said, a, b in zip(("code", "standard output", "standard error", "files"), want, got):
                    if a != b:
                        faults += 1
                        print(f"  FAULT {what}: another {said}: {a} and {b}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        place = f"{folder}/case"
        compare("", damaged_files(graft, folder, arguments.count), place)
        if arguments.memory:
            compare(os.path.abspath(arguments.memory), [(f"{n} threads", ["inspect", WEIGHTS], {"FAULT_THREADS": str(n)}, os.makedirs) for n in (0, 1)] +
                    [("no memory", ["inspect", WEIGHTS], {"FAULT_MALLOC_FROM": "400000000"}, os.makedirs)], place)
        if arguments.io:
            inputs = {"FAULT_IO_PATH": "cifar10_resnet20", "FAULT_IO_ERRNO": "5", "FAULT_IO_MODE": "from"}
            compare(os.path.abspath(arguments.io), [(f"call {n}", ["convert", WEIGHTS, f"{place}/o.npz"], inputs | {"FAULT_IO_AT": str(n)}, os.makedirs)
                                                    for n in range(1, 6)], place)
    print(f"{cases} cases, {faults} faults")
    summarise("many_starts", (1, 1), {}, points=cases, faults=faults)
    if faults:
        sys.exit(1)


main()
