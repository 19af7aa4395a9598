"""Writes the images of tests/io/image_test.cpp and preprocess_test.cpp, and what Pillow and torchvision make of them.

Needs numpy, pillow, torchvision. Run in this folder: python make_images.py
"""
import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps
from torchvision import transforms

rng = np.random.default_rng(7)
goldens = {}


def scene(width, height):
    """Smooth colours, edges and a little noise."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 120 * np.sin(x / 7 + c) * np.cos(y / (5 + c)) for c in range(3)]
    image = np.stack(planes, -1)
    image[height // 4 : height // 2, width // 3 : width // 2] = [250, 10, 30]
    image[height // 2 :, : width // 5] = [5, 200, 90]
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


rgb = scene(45, 34)
colour = Image.fromarray(rgb)


def keep(name, mode="RGB"):
    goldens[name] = np.asarray(Image.open(name).convert(mode))


# JPEG: baseline with each subsampling, progressive, grey, CMYK
for name, options in {"baseline": {}, "no_subsampling": {"subsampling": 0}, "halved": {"subsampling": 1}, "progressive": {"progressive": True},
                      "restarts": {"restart_marker_blocks": 2}}.items():
    colour.save(f"{name}.jpg", quality=90, **options)
    keep(f"{name}.jpg")
colour.convert("L").save("grey.jpg", quality=90)
keep("grey.jpg", "L")
colour.convert("CMYK").save("cmyk.jpg", quality=90)
keep("cmyk.jpg")

# PNG: 1 to 4 channels, palette with and without transparency, 1 bit
alpha = np.linspace(0, 255, 45 * 34).reshape(34, 45).astype(np.uint8)
grey = np.asarray(colour.convert("L"))
colour.save("rgb.png")
keep("rgb.png")
Image.fromarray(grey).save("grey.png")
keep("grey.png", "L")
Image.fromarray(np.dstack([rgb, alpha])).save("rgba.png")
goldens["rgba.png"] = rgb
Image.fromarray(np.dstack([grey, alpha]), "LA").save("grey_alpha.png")
goldens["grey_alpha.png"] = grey
palette = colour.quantize(32)
palette.save("palette.png")
keep("palette.png")
palette.save("palette_transparent.png", transparency=3)
goldens["palette_transparent.png"] = goldens["palette.png"]
colour.convert("1").save("bits.png")
keep("bits.png", "L")


# PNG of 16 bits and interlaced (Pillow writes neither for RGB)
def png(name, width, height, depth, colour_type, rows, interlace=0):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlace)
    with open(name, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


wide = rgb.astype(np.uint16) << 8 | rng.integers(0, 256, rgb.shape, np.uint16)
png("rgb16.png", 45, 34, 16, 2, b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide))
goldens["rgb16.png"] = rgb
wide_grey = grey.astype(np.uint16) << 8 | 255
png("grey16.png", 45, 34, 16, 0, b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide_grey))
goldens["grey16.png"] = grey
passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]  # Adam7
png("interlaced.png", 45, 34, 8, 2, b"".join(b"\0" + row.tobytes() for x, y, dx, dy in passes for row in rgb[y::dy, x::dx]), 1)
keep("interlaced.png")
assert (goldens["interlaced.png"] == rgb).all()

# BMP and PNM
colour.save("rgb.bmp")
keep("rgb.bmp")
palette.save("palette.bmp")
keep("palette.bmp")
colour.save("rgb.ppm")
keep("rgb.ppm")
Image.fromarray(grey).save("grey.pgm")
keep("grey.pgm", "L")


# EXIF orientations, the tag written by hand in both byte orders
def with_exif(jpeg, orientation, order):
    mark, pack = (b"II", "<") if order == "II" else (b"MM", ">")
    value = struct.pack(pack + "HHIHH", 0x0112, 3, 1, orientation, 0)
    other = struct.pack(pack + "HHII", 0x0100, 4, 1, 9)
    tiff = mark + struct.pack(pack + "HI", 42, 8) + struct.pack(pack + "H", 2) + other + value + struct.pack(pack + "I", 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


corners = np.zeros((16, 24, 3), np.uint8)
corners[:8, :8], corners[:8, 8:], corners[8:, :8], corners[8:, 8:] = [200, 30, 30], [30, 200, 30], [30, 30, 200], [220, 220, 40]
buffer = io.BytesIO()
Image.fromarray(corners).save(buffer, "JPEG", quality=95, subsampling=0)
for orientation in range(1, 9):
    name = f"exif_{orientation}.jpg"
    with open(name, "wb") as file:
        file.write(with_exif(buffer.getvalue(), orientation, "II" if orientation % 2 else "MM"))
    goldens[name] = np.asarray(ImageOps.exif_transpose(Image.open(name)).convert("RGB"))

# Pillow's resampling, antialiased
source = Image.fromarray(scene(97, 61))
source.save("resize.png")
KINDS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
for kind, method in KINDS.items():
    for width, height in [(32, 32), (97, 20), (13, 61), (150, 90), (1, 1), (96, 60), (200, 7)]:
        goldens[f"resize/{kind}/{width}x{height}"] = np.asarray(source.resize((width, height), method))
    goldens[f"box/{kind}"] = np.asarray(source.resize((24, 24), method, box=(10.5, 7.25, 70.75, 50)))
    goldens[f"grey/{kind}"] = np.asarray(source.convert("L").resize((40, 30), method))
goldens["luma"] = np.asarray(source.convert("L"))
np.savez_compressed("goldens.npz", **goldens)

# torchvision's Resize, CenterCrop, ToTensor, Normalize
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
shapes = {"landscape": (97, 61), "portrait": (50, 83), "square": (64, 64), "small": (20, 17)}
batches = {}
for name, (width, height) in shapes.items():
    image = Image.fromarray(scene(width, height))
    image.save(f"{name}.png")
    for resize, crop, kind in [(40, 32, "bilinear"), (32, 32, "bicubic"), (24, 32, "bilinear"), (37, 24, "bilinear")]:
        steps = [transforms.Resize(resize, KINDS[kind]), transforms.CenterCrop(crop), transforms.ToTensor(),
                 transforms.Normalize(MEAN, DEVIATION)]
        batches[f"{name}/{resize}/{crop}/{kind}"] = transforms.Compose(steps)(image).numpy()
    steps = [transforms.Resize((28, 28)), transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)]
    batches[f"{name}/0/28/bilinear"] = transforms.Compose(steps)(image).numpy()
np.savez_compressed("preprocessed.npz", **batches)
