"""Writes formats/*: small images of the kinds that people have, and formats.npz: what Pillow makes of them.

Needs numpy, pillow. Run in this folder: python make_formats.py
"""
import io
import os
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

rng = np.random.default_rng(11)
goldens = {}
os.makedirs("formats", exist_ok=True)


def scene(width, height):
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([127 + 120 * np.sin(x / 7 + c) * np.cos(y / (5 + c)) for c in range(3)], -1)
    image[height // 4 : height // 2, width // 3 : width // 2] = [250, 10, 30]
    image[height // 2 :, : width // 5] = [5, 200, 90]
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


rgb = scene(45, 34)
color = Image.fromarray(rgb)
grey = color.convert("L")
alpha = Image.fromarray(np.linspace(0, 255, 45 * 34).reshape(34, 45).astype(np.uint8))
rgba = Image.merge("RGBA", [*color.split(), alpha])


def keep(name, pixels=None, mode="RGB"):
    if pixels is None:
        image = ImageOps.exif_transpose(Image.open(f"formats/{name}"))
        pixels = np.asarray(image.convert(mode))
    goldens[name] = np.asarray(pixels)


def save(name, image, mode="RGB", **options):
    image.save(f"formats/{name}", **options)
    keep(name, mode=mode)


def write(name, content, mode="RGB"):
    with open(f"formats/{name}", "wb") as file:
        file.write(content)
    keep(name, mode=mode)


# WebP
save("lossy.webp", color, quality=80)
save("lossless.webp", color, lossless=True)
save("lossy_alpha.webp", rgba, quality=80, exact=True)
save("lossless_alpha.webp", rgba, lossless=True, exact=True)
save("grey.webp", grey, lossless=True)
color.save("formats/animated.webp", save_all=True, append_images=[ImageOps.invert(color)], lossless=True)
keep("animated.webp", rgb)

# TIFF
for name, compression in {"raw": "raw", "lzw": "tiff_lzw", "deflate": "tiff_adobe_deflate", "packbits": "packbits", "jpeg": "jpeg"}.items():
    save(f"{name}.tif", color, compression=compression)
save("grey.tif", grey, mode="L", compression="tiff_lzw")
save("bits.tif", grey.convert("1"), mode="L", compression="group4")
save("palette.tif", color.quantize(32), compression="tiff_lzw")
save("alpha.tif", rgba, compression="tiff_lzw")
save("cmyk.tif", color.convert("CMYK"), compression="tiff_lzw")
color.save("formats/pages.tif", save_all=True, append_images=[ImageOps.invert(color)])
keep("pages.tif", rgb)


def tiff(name, entries, body, order="<"):
    """A TIFF of one directory; entries {tag: (type, values)}, OFFSET stands for the body's place."""
    sizes = {1: "B", 3: "H", 4: "I"}
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    where = 8 + 2 + 12 * len(entries) + 4
    extra, rows = b"", b""
    total = sum(len(v) * struct.calcsize(sizes[t]) for t, v in entries.values() if len(v) * struct.calcsize(sizes[t]) > 4)
    for tag, (kind, values) in sorted(entries.items()):
        values = [where + total + v[1] if isinstance(v, tuple) else v for v in values]
        data = struct.pack(order + sizes[kind] * len(values), *values)
        if len(data) > 4:
            place = struct.pack(order + "I", where + len(extra))
            extra += data
        else:
            place = data.ljust(4, b"\0")
        rows += struct.pack(order + "HHI", tag, kind, len(values)) + place
    with open(f"formats/{name}", "wb") as file:
        file.write(head + struct.pack(order + "H", len(entries)) + rows + b"\0\0\0\0" + extra + body)


wide = rgb.astype(np.uint16) << 8 | rng.integers(0, 256, rgb.shape, np.uint16)
common = {256: (4, [45]), 257: (4, [34]), 259: (3, [1]), 277: (3, [3]), 284: (3, [1])}
for order in "<>":
    body = wide.astype(order + "u2").tobytes()
    name = "rgb16_little.tif" if order == "<" else "rgb16_big.tif"
    tiff(name, {**common, 258: (3, [16, 16, 16]), 262: (3, [2]), 273: (4, [("at", 0)]), 278: (4, [34]), 279: (4, [len(body)])}, body, order)
    keep(name, rgb)  # the upper 8 bits
wide_grey = np.asarray(grey).astype(np.uint16) << 8 | 200
body = wide_grey.astype("<u2").tobytes()
tiff("grey16.tif", {**common, 258: (3, [16]), 262: (3, [1]), 277: (3, [1]), 273: (4, [("at", 0)]), 278: (4, [34]), 279: (4, [len(body)])}, body)
keep("grey16.tif", np.asarray(grey))
padded = np.zeros((48, 48, 3), np.uint8)
padded[:34, :45] = rgb
tiles = [zlib.compress(padded[y : y + 16, x : x + 16].tobytes()) for y in range(0, 48, 16) for x in range(0, 48, 16)]
starts = np.cumsum([0] + [len(t) for t in tiles])[:-1]
tiff("tiles.tif", {**common, 259: (3, [8]), 258: (3, [8, 8, 8]), 262: (3, [2]), 322: (4, [16]), 323: (4, [16]),
                   324: (4, [("at", int(s)) for s in starts]), 325: (4, [len(t) for t in tiles])}, b"".join(tiles))
keep("tiles.tif", rgb)

# GIF: plain, interlaced, with transparency, of several frames, a first frame smaller than the picture
few = color.quantize(60)
save("plain.gif", few, interlace=0)
save("interlaced.gif", few, interlace=1)
few.save("formats/transparent.gif", transparency=3)
keep("transparent.gif", few.convert("RGB"))
few.save("formats/animated.gif", save_all=True, append_images=[ImageOps.invert(color).quantize(60)], duration=100)
keep("animated.gif", few.convert("RGB"))
save("grey.gif", grey)

# PNG: 2 and 4 bits, grey with one transparent level, palette with several transparent entries


def png(name, width, height, depth, kind, rows, extra=(), interlaced=0):
    def chunk(type_, body):
        return struct.pack(">I", len(body)) + type_ + body + struct.pack(">I", zlib.crc32(type_ + body))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    with open(f"formats/{name}", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(t, b) for t, b in extra)
                   + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


for depth in (2, 4):
    levels = np.asarray(grey) >> (8 - depth)
    bits = (levels[..., None] >> np.arange(depth - 1, -1, -1) & 1).reshape(34, -1)
    packed = np.packbits(bits, axis=1)
    png(f"grey{depth}.png", 45, 34, depth, 0, b"".join(b"\0" + row.tobytes() for row in packed))
    keep(f"grey{depth}.png", mode="L")
png("grey_transparent.png", 45, 34, 8, 0, b"".join(b"\0" + row.tobytes() for row in np.asarray(grey)), [(b"tRNS", b"\0\x50")])
keep("grey_transparent.png", np.asarray(grey))
# 12 bits in 16
dark = np.asarray(grey).astype(np.uint16) << 4
png("grey12in16.png", 45, 34, 16, 0, b"".join(b"\0" + row.astype(">u2").tobytes() for row in dark))
keep("grey12in16.png", (dark >> 8).astype(np.uint8))
png("rgb12in16.png", 45, 34, 16, 2, b"".join(b"\0" + row.astype(">u2").tobytes() for row in rgb.astype(np.uint16) << 4))
keep("rgb12in16.png", rgb >> 4)

# EXIF: how the camera was held, in every format that says so
corners = np.zeros((16, 24, 3), np.uint8)
corners[:8, :8], corners[:8, 8:], corners[8:, :8], corners[8:, 8:] = [200, 30, 30], [30, 200, 30], [30, 30, 200], [220, 220, 40]
upright = Image.fromarray(corners)
for orientation in (1, 3, 6, 8):
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(f"exif_{orientation}.png", upright, exif=exif)
    save(f"exif_{orientation}.webp", upright, exif=exif, lossless=True)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[274] = orientation
    upright.save(f"formats/exif_{orientation}.tif", tiffinfo=tags)
    turned = {1: corners, 3: np.rot90(corners, 2), 6: np.rot90(corners, -1), 8: np.rot90(corners, 1)}[orientation]
    goldens[f"exif_{orientation}.tif"] = np.ascontiguousarray(turned)
    assert (goldens[f"exif_{orientation}.png"] == turned).all() and (goldens[f"exif_{orientation}.webp"] == turned).all()

# JPEG: files about which libjpeg warns, with all their pixels; and YCCK
buffer = io.BytesIO()
color.save(buffer, "JPEG", quality=90)
jpeg = buffer.getvalue()
jfif = jpeg.index(b"JFIF\0")
table = jpeg.index(b"\xff\xdb")
scan = jpeg.index(b"\xff\xda")
write("extraneous.jpg", jpeg[:-2] + b"\x55" * 4 + b"\xff\xd9")
write("trailer.jpg", jpeg + b"\0" * 50 + b"trailer")
write("jfif_version.jpg", jpeg[: jfif + 5] + b"\x02\x01" + jpeg[jfif + 7 :])
write("adobe_transform.jpg", jpeg[:2] + b"\xff\xee" + struct.pack(">H5sHHHB", 14, b"Adobe", 100, 0, 0, 7) + jpeg[2:])
with open("formats/no_end.jpg", "wb") as file:  # Pillow shows large ones and refuses small ones; no pixel is missing
    file.write(jpeg[:-2])
keep("no_end.jpg", Image.open(io.BytesIO(jpeg)))
write("fill_bytes.jpg", jpeg[:scan] + b"\xff\xff\xff" + jpeg[scan:])
write("junk_between.jpg", jpeg[:table] + b"\0\0" + jpeg[table:])
buffer = io.BytesIO()
color.convert("CMYK").save(buffer, "JPEG", quality=92)
four = buffer.getvalue()
adobe = four.find(b"Adobe")
if adobe >= 0:  # Adobe's transform 2: the same bytes are YCCK
    write("ycck.jpg", four[: adobe + 11] + b"\x02" + four[adobe + 12 :])
color.save("formats/rgb.bmp")
keep("rgb.bmp")

# JPEG: what cameras and printers write besides
save("rgb_adobe.jpg", color, quality=90, keep_rgb=True)
save("cmyk_progressive.jpg", color.convert("CMYK"), quality=90, progressive=True)
save("grey_progressive.jpg", grey, mode="L", quality=90, progressive=True)

# PNG: palettes of every depth, one transparent color, 16 bits with alpha, interlaced in every depth
passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]  # Adam7


def packed_rows(samples, depth, interlaced=False):
    """Filter 0 and the row's samples of `depth` bits, [H,W] or [H,W,C]."""
    rows = b""
    for x, y, dx, dy in passes if interlaced else [(0, 0, 1, 1)]:
        for row in samples[y::dy, x::dx]:
            flat = row.reshape(-1)
            if not flat.size:
                continue
            if depth == 16:
                body = flat.astype(">u2").tobytes()
            else:
                body = np.packbits((flat[:, None] >> np.arange(depth - 1, -1, -1) & 1).reshape(-1)).tobytes()
            rows += b"\0" + body
    return rows


def png_of(name, samples, depth, kind, extra=(), interlaced=False):
    png(name, 45, 34, depth, kind, packed_rows(samples, depth, interlaced), extra, int(interlaced))


for depth in (1, 2, 4):
    indexed = color.quantize(1 << depth)
    colors = [(b"PLTE", bytes(indexed.getpalette()[: 3 << depth]))]
    for interlaced, name in ((False, f"palette{depth}.png"), (True, f"palette{depth}_interlaced.png")):
        png_of(name, np.asarray(indexed), depth, 3, colors, interlaced)
        keep(name)
    png_of(f"grey{depth}_interlaced.png", np.asarray(grey) >> (8 - depth), depth, 0, interlaced=True)
    keep(f"grey{depth}_interlaced.png", mode="L")
wide_alpha = np.dstack([wide, np.asarray(alpha).astype(np.uint16) << 8])
wide_grey_alpha = np.dstack([wide_grey, wide_alpha[..., 3]])
png_of("rgba16.png", wide_alpha, 16, 6)
png_of("rgba16_interlaced.png", wide_alpha, 16, 6, interlaced=True)
png_of("grey_alpha16.png", wide_grey_alpha, 16, 4)
png_of("grey16_interlaced.png", wide_grey, 16, 0, interlaced=True)
for name in ("rgba16.png", "rgba16_interlaced.png"):
    keep(name, rgb)  # the upper 8 bits
for name in ("grey_alpha16.png", "grey16_interlaced.png"):
    keep(name, np.asarray(grey))
png_of("rgb_transparent.png", rgb, 8, 2, [(b"tRNS", struct.pack(">HHH", *rgb[3, 4]))])
keep("rgb_transparent.png", rgb)
png_of("rgba_interlaced.png", np.asarray(rgba), 8, 6, interlaced=True)
keep("rgba_interlaced.png", rgb)

# TIFF: strips, prediction, planes apart, white first, 4 bits
color.save("formats/predicted.tif", compression="tiff_lzw", tiffinfo={317: 2})
keep("predicted.tif")
color.save("formats/strips.tif", compression="tiff_adobe_deflate", tiffinfo={278: 5})
keep("strips.tif")
body = np.moveaxis(rgb, -1, 0).tobytes()
size = 45 * 34
tiff("planes.tif", {**common, 284: (3, [2]), 258: (3, [8, 8, 8]), 262: (3, [2]), 273: (4, [("at", i * size) for i in range(3)]),
                    278: (4, [34]), 279: (4, [size] * 3)}, body)
keep("planes.tif", rgb)
for name, photometric, levels in (("white_first.tif", 0, 255 - np.asarray(grey)), ("black_first.tif", 1, np.asarray(grey))):
    tiff(name, {**common, 258: (3, [8]), 262: (3, [photometric]), 277: (3, [1]), 273: (4, [("at", 0)]), 278: (4, [34]), 279: (4, [size])},
         levels.astype(np.uint8).tobytes())
    keep(name, np.asarray(grey))
levels = np.asarray(grey) >> 4
body = b"".join(np.packbits((row[:, None] >> np.arange(3, -1, -1) & 1).reshape(-1)).tobytes() for row in levels)
tiff("grey4.tif", {**common, 258: (3, [4]), 262: (3, [1]), 277: (3, [1]), 273: (4, [("at", 0)]), 278: (4, [34]), 279: (4, [len(body)])}, body)
keep("grey4.tif", levels * 17)

# BMP: 1, 4, 8 and 32 bits, top row first
save("bits.bmp", grey.convert("1"))
save("palette8.bmp", color.quantize(60))
save("rgba.bmp", rgba)
plain = open("formats/rgb.bmp", "rb").read()
stride = (45 * 3 + 3) // 4 * 4
rows = [plain[54 + i * stride : 54 + (i + 1) * stride] for i in range(34)]
write("top_first.bmp", plain[:22] + struct.pack("<i", -34) + plain[26:54] + b"".join(rows[::-1]))

# GIF: a first frame smaller than the picture
whole = open("formats/plain.gif", "rb").read()
frame = whole.index(b"\x2c\0\0\0\0" + struct.pack("<HH", 45, 34))
write("small_frame.gif", whole[:6] + struct.pack("<HH", 52, 40) + whole[10 : frame + 1] + struct.pack("<HH", 4, 3) + whole[frame + 5 :])

# EXIF: the four ways that mirror
for orientation in (2, 4, 5, 7):
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(f"exif_{orientation}.png", upright, exif=exif)
    save(f"exif_{orientation}.webp", upright, exif=exif, lossless=True)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[274] = orientation
    upright.save(f"formats/exif_{orientation}.tif", tiffinfo=tags)
    goldens[f"exif_{orientation}.tif"] = goldens[f"exif_{orientation}.png"]
    assert (goldens[f"exif_{orientation}.png"] == goldens[f"exif_{orientation}.webp"]).all()
np.savez_compressed("formats.npz", **goldens)
