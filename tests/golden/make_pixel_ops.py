"""Writes tests/data/images/pixel_ops.npz: what Pillow makes of two small images by the operations of torchvision's RandAugment and
TrivialAugmentWide (torchvision.transforms.autoaugment._apply_op on PIL images), for tests/io/pixel_ops_test.cpp.

Needs numpy, pillow. Run in this folder: python make_pixel_ops.py
"""
import math

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

random = np.random.default_rng(3)


def made(height, width, channels):
    y, x = np.mgrid[:height, :width]
    waves = 128 + 90 * np.sin(x[..., None] / 3 + np.arange(channels)) * np.cos(y[..., None] / 4)
    noise = random.integers(-25, 26, (height, width, channels))
    pixels = np.clip(waves + noise, 3, 240).astype("uint8")
    pixels[0, 0] = 0
    return pixels if channels == 3 else pixels[..., 0]


IMAGES = {"rgb": made(13, 18, 3), "grey": made(11, 11, 1)}


def affine(image, matrix):  # torchvision's F.affine of a PIL image, center (0, 0)
    return image.transform(image.size, Image.AFFINE, matrix, Image.NEAREST, fillcolor=None)


def enhanced(kind):
    return lambda image, m: kind(image).enhance(1 + m)


def shear(angle):
    return math.tan(math.radians(math.degrees(math.atan(angle))))


OPS = {
    "shear x": lambda image, m: affine(image, (1, shear(m), 0, 0, 1, 0)),
    "shear y": lambda image, m: affine(image, (1, 0, 0, shear(m), 1, 0)),
    "translate x": lambda image, m: affine(image, (1, 0, -int(m), 0, 1, 0)),
    "translate y": lambda image, m: affine(image, (1, 0, 0, 0, 1, -int(m))),
    "rotate": lambda image, m: image.rotate(m, Image.NEAREST),
    "brightness": enhanced(ImageEnhance.Brightness),
    "color": enhanced(ImageEnhance.Color),
    "contrast": enhanced(ImageEnhance.Contrast),
    "sharpness": enhanced(ImageEnhance.Sharpness),
    "posterize": lambda image, m: ImageOps.posterize(image, int(m)),
    "solarize": lambda image, m: ImageOps.solarize(image, m),
    "autocontrast": lambda image, m: ImageOps.autocontrast(image),
    "equalize": lambda image, m: ImageOps.equalize(image),
}
SIGNED = [0.033, 0.3, -0.3, 0.9, -0.99]
MAGNITUDES = {
    "translate x": [1, 3.9, -2, -17, 40],
    "translate y": [1, 3.9, -2, 40],
    "rotate": [3, -30, 45, 90, 135, -135],
    "posterize": [8, 5, 2, 1],
    "solarize": [255, 127.5, 51, 0],
    "autocontrast": [0],
    "equalize": [0],
}
results = {f"image/{name}": pixels for name, pixels in IMAGES.items()}
for name, pixels in IMAGES.items():
    for op, make in OPS.items():
        for i, magnitude in enumerate(MAGNITUDES.get(op, SIGNED)):
            image = Image.fromarray(pixels)
            results[f"{name}/{op}/{i}"] = np.asarray(make(image, magnitude))
for op in OPS:
    results[f"magnitudes/{op}"] = np.array(MAGNITUDES.get(op, SIGNED), float)
np.savez_compressed("../data/images/pixel_ops.npz", **results)
