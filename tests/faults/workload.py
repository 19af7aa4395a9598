"""Small inputs and runs of the graft command that the drivers of this folder share."""
import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import zlib

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEIGHTS = os.path.join(SOURCE, "examples/pretrained/cifar10_resnet20.th")
CORPUS = os.path.join(SOURCE, "tests/fuzz/corpus")


# For a machine that others use: how many commands a driver runs at once, on how many threads each, and how many times as long they
# may take.
THREADS = os.environ.get("GRAFT_THREADS", "2")
PATIENCE = float(os.environ.get("GRAFT_FAULTS_PATIENCE", 1))


def commands_at_once():
    return int(os.environ.get("GRAFT_FAULTS_JOBS", os.cpu_count()))


def part_of(text):
    """Of "K/N": (K, N). The parts 1/N to N/N of a run are disjoint, and together they are the whole."""
    try:
        number, parts = (int(word) for word in text.split("/"))
    except ValueError:
        number, parts = 0, 0
    if not 1 <= number <= parts:
        raise argparse.ArgumentTypeError(f"{text!r} is no part K/N, 1 <= K <= N")
    return number, parts


WHOLE_RUN = (1, 1)


def taken(cases, part):
    """Those of a list that belong to a part."""
    return cases[part[0] - 1::part[1]]


def summarise(driver, part, codes, **counts):
    """One line of JSON, the last of a driver: what ran, and how it ended."""
    told = {"driver": driver, "part": "/".join(map(str, part)), **counts,
            "signals": sum(n for code, n in codes.items() if isinstance(code, int) and code < 0), "hangs": codes.get("hang", 0),
            "code_1": codes.get(1, 0), "codes": {str(code): n for code, n in sorted(codes.items(), key=str)}}
    print(json.dumps(told), flush=True)


def write_photos(folder, classes=2, each=5, side=8):
    for label in range(classes):
        os.makedirs(f"{folder}/c{label}")
        for i in range(each):
            rng = random.Random(100 * label + i)
            pixels = bytes(rng.randrange(256) for _ in range(3 * side * side))
            with open(f"{folder}/c{label}/{i}.ppm", "wb") as file:
                file.write(b"P6\n%d %d\n255\n" % (side, side) + pixels)


def write_png(path, side=8, height=None):
    height = height or side

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((7 * x + 31 * y) % 256 for x in range(3 * side)) for y in range(height))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, height, 8, 2, 0, 0, 0)) +
                   chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def write_progressive_jpeg(path, width, height, note):
    """Grey in three components, all of whose coefficients a decoder keeps: a scan of "no difference" for each block's mean."""
    def segment(marker, body):
        return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body
    bits = 3 * -(-width // 8) * -(-height // 8)
    scan = bytes(bits // 8) + (bytes([0xFF >> bits % 8]) if bits % 8 else b"")
    components = b"".join(bytes([c, 0x11, 0]) for c in (1, 2, 3))
    with open(path, "wb") as file:
        file.write(b"\xff\xd8" + segment(0xFE, note.encode()) + segment(0xDB, b"\0" + b"\1" * 64) +
                   segment(0xC2, struct.pack(">BHHB", 8, height, width, 3) + components) +
                   segment(0xC4, b"\0" + b"\1" + bytes(15) + b"\0") +
                   segment(0xDA, b"\3" + b"".join(bytes([c, 0]) for c in (1, 2, 3)) + b"\0\0\0") + scan + b"\xff\xd9")


def digest(path):
    """SHA-256 of a file, "" where there is none."""
    if not os.path.exists(path):
        return ""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def metrics(run):
    """The lines of RUN/metrics.jsonl but for what a clock said."""
    with open(f"{run}/metrics.jsonl") as file:
        lines = [json.loads(line) for line in file]
    return [{key: value for key, value in line.items() if key not in ("seconds", "images_per_s")} for line in lines]


def is_whole_safetensors(path):
    """Whether the header can be read and the file is as long as it says."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 8:
        return False
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8:8 + length])
    except ValueError:
        return False
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return len(data) == 8 + length + max(ends, default=0)


def end_of(stderr):
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""


def run(words, environment=None, timeout=60, folder=None):
    """Code ("hang" past the timeout), stdout and stderr of a command."""
    everything = {"PATH": os.environ.get("PATH", ""), "GRAFT_THREADS": THREADS}
    everything.update(environment or {})
    process = subprocess.Popen(words, env=everything, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               cwd=folder, start_new_session=True)
    try:
        out, said = process.communicate(timeout=timeout * PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # what it started, too
        process.communicate()
        return "hang", b"", b""
    return process.returncode, out, said


def peak_of(words, note, timeout=60):
    """Code, stderr and peak memory in KiB (0 of a hang) of a command; `note`: a file to keep it in."""
    code, _, said = run(["/usr/bin/time", "-f", "%M", "-o", note] + words, timeout=timeout)
    if code == "hang" or not os.path.exists(note):
        return code, said, 0
    with open(note) as file:
        return code, said, int(file.read().split()[-1])


def training_flags(data, epochs=2):
    return ["--data", data, "--epochs", str(epochs), "--batch", "4", "--image-size", "8", "--checkpoint-seconds", "0"]


def train_model(graft, data, out):
    """A model of a small run, for verbs that need one; its path."""
    code, _, said = run([graft, "finetune", "--weights", WEIGHTS, "--out", out] + training_flags(data))
    if code != 0:
        raise SystemExit(f"the model for the test cannot be made: {said.decode('utf-8', 'replace')}")
    return f"{out}/model.safetensors"


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
