"""Made-up data of several answers from Fashion-MNIST (IDX files, plain or .gz), as tables that graft reads.

collages: two to four garments of different classes on a canvas of 64 x 64, each somewhere in a quadrant of its own; a column of
          0 and 1 for each of the ten classes, all about equally frequent.
turned:   one garment, turned by -45 to 45 degrees and enlarged to 64 x 64; a column `angle`.

A folder gets train.csv (column `split`: train, val), test.csv and the images. Training and validation images are made of different
garments, the test images of the other file's.
"""
import csv
import gzip
import os
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import affine_transform

SIDE = 64
GARMENTS = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]
PARTS = ("train", "val", "test")


@dataclass
class Part:
    paths: list
    images: np.ndarray   # u8 [N, SIDE, SIDE]
    answers: np.ndarray  # [N, labels or numbers]


def read_idx(folder, name):
    for path, opened in ((f"{folder}/{name}.gz", gzip.open), (f"{folder}/{name}", open)):
        if os.path.exists(path):
            with opened(path, "rb") as file:
                data = file.read()
            shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(data[3])]
            return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)
    raise SystemExit(f"{folder}: there is no {name}")


def garments(folder):
    """Images and labels that each part is made of: no garment is in two parts."""
    read = {kind: (read_idx(folder, f"{kind}-images-idx3-ubyte"), read_idx(folder, f"{kind}-labels-idx1-ubyte"))
            for kind in ("train", "t10k")}
    (x, y), test = read["train"], read["t10k"]
    return {"train": (x[:48000], y[:48000]), "val": (x[48000:], y[48000:]), "test": test}


def collage(images, labels, random):
    canvas, there = np.zeros((SIDE, SIDE), np.uint8), np.zeros(len(GARMENTS), np.int64)
    count = random.integers(2, 5)
    classes = random.choice(len(GARMENTS), count, replace=False)
    for garment, quadrant in zip(classes, random.choice(4, count, replace=False)):
        image = images[random.choice(np.flatnonzero(labels == garment))]
        top, left = np.array(divmod(quadrant, 2)) * (SIDE // 2) + random.integers(0, 5, 2)
        canvas[top:top + 28, left:left + 28] = image
        there[garment] = 1
    return canvas, there


def turned(images, labels, random):
    image, angle = images[random.integers(len(images))], round(random.uniform(-45, 45), 3)
    radians, step = np.deg2rad(angle), 40 / SIDE  # a turned square of 28 needs 40
    matrix = step * np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    offset = np.full(2, 13.5) - matrix @ np.full(2, (SIDE - 1) / 2)
    pixels = affine_transform(image.astype(np.float64), matrix, offset, (SIDE, SIDE), order=1)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), np.array([angle])


KINDS = {"collages": (collage, GARMENTS), "turned": (turned, ["angle"])}


def make(kind, source, folder, counts, seed):
    """Writes the folder; its parts, in the order of the tables."""
    one, columns = KINDS[kind]
    os.makedirs(f"{folder}/images", exist_ok=True)
    parts = {}
    for number, (name, (images, labels)) in enumerate(garments(source).items()):
        random = np.random.default_rng([seed, number])
        made = [one(images, labels, random) for _ in range(counts[number])]
        part = Part([f"images/{name}{i:05}.pgm" for i in range(len(made))],
                    np.stack([image for image, _ in made]), np.stack([answer for _, answer in made]))
        for path, image in zip(part.paths, part.images):
            with open(f"{folder}/{path}", "wb") as file:
                file.write(b"P5 %d %d 255\n" % (SIDE, SIDE) + image.tobytes())
        parts[name] = part
    for table, names in (("train.csv", ("train", "val")), ("test.csv", ("test",))):
        with open(f"{folder}/{table}", "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["image"] + (["split"] if len(names) > 1 else []) + columns)
            for name in names:
                for path, answer in zip(parts[name].paths, parts[name].answers):
                    rows.writerow([path] + ([name] if len(names) > 1 else []) + answer.tolist())
    return parts
