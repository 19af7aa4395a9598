#!/usr/bin/env python3
"""Made-up patients for docs/medical.md: 16-bit grey PNGs of 64x64 with values around 1,000 and a table path,label,patient.
Every patient has a background of its own and 3 to 6 images; of the sick ones most images have a ring, faint, of the others a disc.
Usage: python make_patients.py FOLDER [PATIENTS [SEED]]   (NumPy and Pillow)"""
import pathlib
import sys

import numpy as np
from PIL import Image

folder = pathlib.Path(sys.argv[1])
patients = int(sys.argv[2]) if len(sys.argv) > 2 else 60
random = np.random.default_rng(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
folder.mkdir(parents=True, exist_ok=True)
y, x = np.mgrid[0:64, 0:64]
rows = ["path,label,patient"]
for patient in range(patients):
    sick = patient % 3 == 0
    slope, level, spread = random.normal(0, 2, 2), random.normal(1000, 60), random.uniform(30, 60)
    for number in range(random.integers(3, 7)):
        cx, cy, radius = random.uniform(22, 42), random.uniform(22, 42), random.uniform(8, 14)
        distance = np.hypot(x - cx, y - cy)
        ring = sick and random.uniform() < 0.9
        shape = np.exp(-(((distance - radius) / 2) ** 2)) if ring else (distance < radius)
        values = level + slope[0] * (x - 32) + slope[1] * (y - 32) + 45 * shape + random.normal(0, spread, x.shape)
        name = f"p{patient:03d}_{number}.png"
        Image.fromarray(np.clip(values, 0, 65535).astype(np.uint16)).save(folder / name)
        rows.append(f"{name},{'sick' if sick else 'well'},p{patient:03d}")
(folder / "images.csv").write_text("\n".join(rows) + "\n")
