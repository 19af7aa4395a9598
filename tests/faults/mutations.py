#!/usr/bin/env python3
"""Gives the command damaged files of every format that it reads, weights, graphs, images, tables, data sets, checkpoints: each ends
with a code of docs/cli.md and, unless 0, one sentence; no signal, no hang, no code 1, and memory within 64 MiB and 64 times the file
above what the verb takes anyway.
Usage: mutations.py GRAFT [--count N] [--seed N] [--only FORMAT] [--part K/N] [--starts LIB] [--keep DIR]
(N: over all formats; LIB: many_starts.c, built; DIR receives what failed)"""
import argparse
import collections
import concurrent.futures
import io
import json
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import zipfile
import zlib

import seeds
from starts import Commands
from workload import (CORPUS, SOURCE, WEIGHTS, WHOLE_RUN, commands_at_once, end_of, part_of, run, summarise, taken, train_model, training_flags,
                      write_photos)

LIMIT = 10  # seconds, for what takes tenths
NUMBERS = [0, 1, 2, -1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, -2**63, 1 << 33, 1 << 40,
           1 << 47]
TEXTS = [b"0", b"-1", b"1e999", b"99999999999999999999", b"18446744073709551615", b"9223372036854775807", b"2147483648", b"1.5", b"null", b"[]",
         b"NaN", b"\xff"]


def place_in(size, rng):
    """Where formats keep what matters: near the begin, near the end, anywhere."""
    draw = rng.random()
    if draw < 0.5:
        return rng.randrange(min(size, rng.choice([16, 128, 1024])))
    if draw < 0.75:
        return size - 1 - rng.randrange(min(size, rng.choice([24, 256, 2048])))
    return rng.randrange(size)


def put_number(data, at, rng):
    width = rng.choice([2, 4, 8])
    value = rng.choice(NUMBERS + [len(data), len(data) + 1, len(data) - 1])
    data[at:at + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, rng.choice(["little", "big"]))


def put_text(data, at, rng):
    found = list(re.finditer(rb"\d+", bytes(data[:4096])))
    if found:
        chosen = rng.choice(found)
        data[chosen.start():chosen.end()] = rng.choice(TEXTS)


def change(data, at, rng):
    kind, length = rng.randrange(9), rng.choice([1, 4, 16, 100, 1000])
    if kind <= 1:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 2:
        data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, 0x20, 0x22, 0x2C])
    elif kind <= 4:
        put_number(data, at, rng)
    elif kind == 5:
        del data[at:]
    elif kind == 6:
        del data[at:at + length]
    elif kind == 7:
        data[at:at] = data[at:at + length]
    else:
        put_text(data, at, rng)


def mutated(original, rng):
    if original[:2] == b"PK" and rng.random() < 0.6:
        try:
            return mutated_member(original, rng)
        except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, ValueError):
            pass  # a seed that is damaged itself
    data = bytearray(original)
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5, 8])):
        if data:
            change(data, place_in(len(data), rng), rng)
    return bytes(data)


def mutated_member(original, rng):
    """A sound archive around a damaged file."""
    archive, out = zipfile.ZipFile(io.BytesIO(original)), io.BytesIO()
    chosen = rng.choice(archive.namelist())
    with zipfile.ZipFile(out, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as written:
        for name in archive.namelist():
            content = archive.read(name)
            written.writestr(name, mutated(content, rng) if name == chosen and content[:2] != b"PK" else content)
    return out.getvalue()


def contents(folder, extension):
    """Seeds of the fuzzers with the ending under which the command reads them; at most 200 kB each."""
    seeds = []
    for name in sorted(os.listdir(os.path.join(CORPUS, folder))):
        path = os.path.join(CORPUS, folder, name)
        if os.path.isfile(path) and os.path.getsize(path) < 200_000:
            with open(path, "rb") as file:
                seeds.append((extension or os.path.splitext(name)[1], file.read()))
    return seeds


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


def files_of(folder, *endings):
    """(ending, content) of the files of tests/data with these endings; at most 200 kB each."""
    folder = os.path.join(SOURCE, "tests/data", folder)
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(endings)]
    return [(next(ending for ending in endings if path.endswith(ending)), bytes_of(path)) for path in paths if os.path.getsize(path) < 200_000]


class Target:
    """seeds: (ending of the name, content); commands: with FILE for the damaged file and OUT for the folder that it is in, which is
    its own; beside: a folder of sound files that stand there too; wrap: makes the file of the damaged content."""
    def __init__(self, seeds, *commands, name="x", beside="", wrap=bytes):
        self.seeds, self.commands, self.name, self.beside, self.wrap = seeds, commands, name, beside, wrap

    def place(self, folder, ending, content):
        """Makes the folder; returns the path of the file in it."""
        if self.beside:
            shutil.copytree(self.beside, folder)
        else:
            os.makedirs(folder)
        path = f"{folder}/{self.name}{ending}"
        with open(path, "wb") as file:
            file.write(self.wrap(content))
        return path


def in_folder(folder, *endings):
    """Each file below a folder (with these endings), to be damaged among the others."""
    paths = sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(endings or ("",)))
    return [(os.path.relpath(path, folder), bytes_of(path)) for path in paths]


def text_in(path, key):
    """A target's seeds and wrap for a text in a .safetensors file's metadata, which its check sums otherwise guard."""
    whole = bytes_of(path)
    text = seeds.header_of(whole)[0]["__metadata__"][key]
    return [(".safetensors", text.encode())], lambda damaged: seeds.with_metadata(whole, **{key: damaged.decode("utf-8", "surrogateescape")})


def write_cifar(folder):
    os.makedirs(folder)
    rng = random.Random(1)
    for name, images in (("data_batch_1.bin", 8), ("test_batch.bin", 4)):
        with open(f"{folder}/{name}", "wb") as file:
            file.write(b"".join(bytes([i % 10]) + rng.randbytes(3072) for i in range(images)))


def targets(graft, folder):
    data, out = f"{folder}/photos", f"{folder}/model"
    write_photos(data)
    trained = train_model(graft, data, out)
    for ending in (".npz", ".onnx"):
        run([graft, "convert", WEIGHTS, f"{folder}/w{ending}"])
    run([graft, "features", trained, "--data", data, "--out", f"{folder}/f.npz"])
    table = "path,label\n" + "".join(f"{data}/c{c}/{i}.ppm,c{c}\n" for c in range(2) for i in range(5))
    lines = "".join(json.dumps({"path": f"{data}/c{c}/{i}.ppm", "label": f"c{c}"}) + "\n" for c in range(2) for i in range(5))
    labels = [f"class {i}" for i in range(10)]
    datasets = os.path.join(SOURCE, "tests/data/datasets")
    write_cifar(f"{folder}/cifar")
    seeds.write_weights_with_configuration(f"{folder}/hub")
    seeds.write_weights_with_configuration(f"{folder}/timm", timm=True)
    for write, name in ((seeds.write_voc, "voc"), (seeds.write_yolo, "yolo"), (seeds.write_coco, "coco"), (seeds.write_masks, "masks")):
        write(f"{folder}/{name}")
    shutil.copytree(f"{folder}/coco/images", f"{folder}/boxes/images")
    seeds.write_shards(bytes_of(os.path.join(SOURCE, "tests/data/io/same.safetensors")), f"{folder}/shards")
    cards, with_card = text_in(trained, "graft.card")
    checkpoint = f"{out}/last.ckpt.safetensors"
    notes, with_notes = text_in(checkpoint, "graft.checkpoint")
    network = os.path.join(CORPUS, "graph/network.onnx")
    inspect, convert = ["inspect", "FILE"], ["convert", "FILE", "OUT/o.npz"]
    images = [seed for kind in ("image", "jpeg", "gif", "tiff", "webp") for seed in contents(kind, ".jpg" if kind == "jpeg" else "")]
    images += files_of("images", ".png", ".bmp", ".ppm", ".pgm") + files_of("images/formats", ".png", ".bmp", ".webp", ".tif", ".avif", ".heic")
    images = [(ending or ".png", content) for ending, content in images]
    evaluate = ["evaluate", trained, "--data", "FILE"]
    resume = ["finetune", "--weights", WEIGHTS, "--out", "OUT", "--resume"] + training_flags(data, 3)
    return {
        "model": Target([(".safetensors", bytes_of(trained))], ["predict", "FILE", f"{data}/c0/0.ppm"], inspect, ["evaluate", "FILE", "--data", data]),
        "safetensors": Target(contents("safetensors", ".safetensors"), inspect, convert),
        "pytorch": Target([(".pth", bytes_of(WEIGHTS))] + contents("pytorch", ".pth") + files_of("io", ".pth", ".pkl", ".pt"), inspect, convert),
        "npz": Target([(".npz", bytes_of(f"{folder}/w.npz"))] + contents("npz", ".npz"), inspect, convert),
        "onnx": Target([(".onnx", bytes_of(f"{folder}/w.onnx"))] + contents("onnx", ".onnx"), inspect, convert),
        "graph": Target(contents("graph", ".onnx"), inspect, ["run", "FILE", "--output", "OUT"]),
        "exported": Target(files_of("pt2", ".pt2"), inspect, ["run", "FILE", "--output", "OUT"]),
        "npy": Target([(".npy", seeds.npy(1, 1, 8, 8))] * 4 + [(".npy", content) for ending, content in contents("npz", "") + files_of("io", ".npy") if content[:6] == b"\x93NUMPY"],
                      ["run", network, "--input", "FILE", "--output", "OUT"]),
        "card": Target(cards, ["predict", "FILE", f"{data}/c0/0.ppm"], inspect, convert, wrap=with_card),
        "checkpoint": Target(notes, resume, name="last.ckpt", beside=out, wrap=with_notes),
        "shards": Target(in_folder(f"{folder}/shards"), ["inspect", "OUT"], name="", beside=f"{folder}/shards"),
        "mxnet": Target(contents("mxnet", ".params"), inspect),
        "image": Target(images, ["predict", trained, "FILE"], ["predict", trained, "FILE", "--json"]),
        "table": Target([(".csv", table.encode()), (".tsv", table.replace(",", "\t").encode()), (".jsonl", lines.encode())] + contents("csv", ".csv"), evaluate, ["data", "FILE"],
                        ["predict", trained, "FILE"]),
        "npz data": Target([(".npz", bytes_of(f"{folder}/f.npz"))] + contents("npz_data", ".npz"), evaluate, ["data", "FILE"]),
        "idx": Target(in_folder(f"{datasets}/idx"), ["data", "OUT"], name="", beside=f"{datasets}/idx"),
        "gzipped idx": Target(in_folder(f"{datasets}/idx_gz"), ["data", "OUT"], name="", beside=f"{datasets}/idx_gz"),
        "cifar": Target(in_folder(f"{folder}/cifar"), ["data", "OUT"], name="", beside=f"{folder}/cifar"),
        "voc": Target(in_folder(f"{folder}/voc", ".xml", ".txt"), ["data", "OUT"], name="", beside=f"{folder}/voc"),
        "yolo": Target(in_folder(f"{folder}/yolo", ".yaml", ".txt"), ["data", "OUT"], name="", beside=f"{folder}/yolo"),
        "coco": Target(in_folder(f"{folder}/coco", ".json"), ["data", "OUT"], ["data", "OUT/boxes.json"], name="", beside=f"{folder}/coco"),
        "box table": Target([(".csv", seeds.BOX_TABLE.encode())], ["data", "FILE"], beside=f"{folder}/boxes"),
        "masks": Target(in_folder(f"{folder}/masks", ".png", ".txt"), ["data", "OUT"], name="", beside=f"{folder}/masks"),
        "hdf5": Target(files_of("keras", ".h5", ".keras"), inspect, convert),
        "labels": Target([(".txt", "\n".join(labels).encode()), (".json", json.dumps(labels).encode()),
                          (".json", json.dumps(dict(enumerate(labels))).encode())], ["inspect", WEIGHTS, "--labels", "FILE"]),
        "configuration": Target(in_folder(f"{folder}/hub", ".json"), ["inspect", "OUT/w.pth"], name="", beside=f"{folder}/hub"),
        "timm's configuration": Target(in_folder(f"{folder}/timm", ".json"), ["inspect", "OUT/w.pth"], name="", beside=f"{folder}/timm"),
        "external data": Target([(name, bytes_of(os.path.join(SOURCE, "tests/data/io/onnx", name))) for name in ("external.onnx", "external.bin")],
                                ["inspect", "OUT/external.onnx"], name="", beside=os.path.join(SOURCE, "tests/data/io/onnx")),
        "run": Target([(name, content) for name, content in in_folder(out) if name != "report.html"], resume, ["compare", "OUT"], name="",
                      beside=out),
    }


def with_limits():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def try_one(commands, target, number, seed, folder, usual, keep):
    """The code, what was wrong with one damaged file, and how many times the file was resident beyond 64 MiB above the usual."""
    rng = random.Random(f"{seed} {number}")
    ending, original = rng.choice(target.seeds)
    content, command = mutated(original, rng), rng.choice(target.commands)
    place = f"{folder}/m{number}"
    path = target.place(place, ending, content)
    words = [commands.graft] + [word.replace("FILE", path).replace("OUT", place) for word in command]
    code, said, peak = commands.peak_of(words, f"{place}.peak", LIMIT)
    beyond = max(0, peak * 1024 - usual * 1024 - (64 << 20))
    said, wrong = end_of(said), None
    if code not in (0, 2, 3, 4):
        wrong = f"code {code}: {said}"
    elif code != 0 and not ("graft: " in said or "could not be read" in said):
        wrong = f"code {code} without a sentence: {said}"
    elif beyond > 64 * len(content) and "images" not in said:
        wrong = f"{peak} KiB for a file of {len(content)} bytes (usually {usual})"
    if wrong and keep:
        shutil.copy(path, os.path.join(keep, str(number) + ending.replace(os.sep, "_")))
    shutil.rmtree(place, ignore_errors=True)
    if os.path.exists(f"{place}.peak"):
        os.remove(f"{place}.peak")
    return code, wrong and f"number {number}, {' '.join(command[:1])} {ending}: {wrong}", beyond / max(1, len(content))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graft")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("--keep")
    parser.add_argument("--part", type=part_of, default=WHOLE_RUN)
    parser.add_argument("--starts", default="")
    arguments = parser.parse_args()
    if not arguments.starts and not os.path.exists("/usr/bin/time"):
        print("SKIPPED: memory is measured by /usr/bin/time, which is not here")
        return
    with_limits()
    graft, total, faults, multiple, all_codes = os.path.abspath(arguments.graft), 0, 0, 0, collections.Counter()
    with tempfile.TemporaryDirectory() as folder, Commands(graft, arguments.starts) as commands, \
            concurrent.futures.ThreadPoolExecutor(commands_at_once()) as pool:
        wanted = targets(graft, folder)
        if arguments.only:
            wanted = {arguments.only: wanted[arguments.only]}
        for name, target in wanted.items():
            usual = 0
            for command in target.commands:  # of sound files
                place = f"{folder}/sound"
                path = target.place(place, *target.seeds[0])
                words = [graft] + [word.replace("FILE", path).replace("OUT", place) for word in command]
                code, said, peak = commands.peak_of(words, f"{folder}/sound.peak", LIMIT)
                if code not in (0, 3):  # some seeds of the fuzzers are refused themselves
                    sys.exit(f"{name}: {' '.join(command)} of a seed ends with code {code}: {end_of(said)}")
                usual = max(usual, peak)
                shutil.rmtree(place)
            count = max(1, arguments.count // len(wanted))
            jobs = [pool.submit(try_one, commands, target, number, f"{arguments.seed} {name}", folder, usual, arguments.keep)
                    for number in taken(range(count), arguments.part)]
            codes, wrong = collections.Counter(), []
            for job in jobs:
                code, complaint, times = job.result()
                multiple = max(multiple, times)
                codes[code] += 1
                wrong += [complaint] if complaint else []
            print(f"{name}: {len(jobs)} files, codes {dict(codes)}", flush=True)
            for line in wrong[:20]:
                print("  FAULT", line, flush=True)
            total, faults = total + len(jobs), faults + len(wrong)
            all_codes.update(codes)
    print(f"{total} damaged files, {faults} faults")
    summarise("mutations", arguments.part, all_codes, points=total, faults=faults, rss_multiple=round(multiple, 1))
    if faults:
        sys.exit(1)


if __name__ == "__main__":
    main()
