"""Writes formats/*.avif and *.heic and boxed.npz: what Pillow, and pillow-heif for HEIC, make of them.

Needs numpy, pillow 11.3 or newer, pillow-heif. Run in this folder, after make_formats.py: python make_boxed.py
"""
import numpy as np
import pillow_heif
from PIL import Image, ImageOps

pillow_heif.register_heif_opener()
goldens = {}
color = Image.open("formats/rgb.bmp")
grey = color.convert("L")
alpha = Image.fromarray(np.linspace(0, 255, 45 * 34).reshape(34, 45).astype(np.uint8))
rgba = Image.merge("RGBA", [*color.split(), alpha])


def save(name, image, mode="RGB", **options):
    image.save(f"formats/{name}", **options)
    keep(name, mode)


def keep(name, mode="RGB"):
    image = Image.open(f"formats/{name}")
    if name.endswith(".avif"):  # pillow-heif has turned it already
        image = ImageOps.exif_transpose(image)
    goldens[name] = np.asarray(image.convert(mode))


for chroma in ("4:2:0", "4:2:2", "4:4:4"):
    save(f"{chroma.replace(':', '')}.avif", color, quality=70, subsampling=chroma)
save("limited.avif", color, quality=70, range="limited")
save("grey.avif", grey, mode="L", quality=70, subsampling="4:0:0")
save("alpha.avif", rgba, quality=70)
color.save("formats/animated.avif", quality=70, save_all=True, append_images=[ImageOps.invert(color)])
keep("animated.avif")
for chroma in (420, 422, 444):
    save(f"{chroma}.heic", color, quality=70, chroma=chroma)
save("grey.heic", grey, quality=70)
save("alpha.heic", rgba, quality=70)
color.save("formats/pages.heic", quality=70, save_all=True, append_images=[ImageOps.invert(color)])
keep("pages.heic")

wide = np.asarray(color).astype(np.uint16) << 8
pillow_heif.from_bytes(mode="RGB;16", size=color.size, data=wide.tobytes()).save("formats/deep.heic", quality=70, chroma=420)  # 10 bits
keep("deep.heic")

# How the camera was held: both formats say it in boxes of their own
corners = np.zeros((16, 24, 3), np.uint8)
corners[:8, :8], corners[:8, 8:], corners[8:, :8], corners[8:, 8:] = [200, 30, 30], [30, 200, 30], [30, 30, 200], [220, 220, 40]
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif = exif.tobytes()
    save(f"exif_{orientation}.avif", Image.fromarray(corners), exif=exif, quality=90, subsampling="4:4:4")
    save(f"exif_{orientation}.heic", Image.fromarray(corners), exif=exif, quality=90, chroma=444)
    assert np.abs(goldens[f"exif_{orientation}.heic"].astype(int) - goldens[f"exif_{orientation}.avif"]).max() <= 2
np.savez_compressed("boxed.npz", **goldens)
