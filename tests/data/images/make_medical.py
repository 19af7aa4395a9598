#!/usr/bin/env python3
"""Writes medical/: small DICOM and NIfTI files, 16-bit PNG and TIFF, and expected.json with the grey levels that pydicom and
nibabel make of them. Made with pydicom 3.0.2, nibabel 5.4.2, Pillow 13 and NumPy 2.4: python make_medical.py"""
import gzip
import io
import json
import pathlib

import nibabel
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

here = pathlib.Path(__file__).parent / "medical"
here.mkdir(exist_ok=True)
expected = {}


def pattern(height, width, low, high):
    """A slanted ramp with a bright square, from low to high."""
    y, x = np.mgrid[0:height, 0:width]
    values = low + (high - low) * ((x * 3 + y * 5) % 64) / 63
    values[height // 3 : height // 2, width // 3 : width // 2] = high
    return np.rint(values)


def levels(values):
    return np.clip(np.rint(values), 0, 255).astype(int).ravel().tolist()


def dicom(name, values, bits=16, stored=None, signed=False, syntax=ExplicitVRLittleEndian, photometric="MONOCHROME2", window=None,
          function=None, slope=None, intercept=None, jpeg=None, nested=False, frames=1):
    stored = stored or bits
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    d = Dataset()
    d.file_meta = meta
    d.PatientID = "made up"
    if nested:  # sequences of both kinds in front of the pixels
        inner = Dataset()
        inner.CodeValue = "T-1"
        inner.RelatedSeriesSequence = Sequence([Dataset()])
        d.AnatomicRegionSequence = Sequence([inner])
        d["AnatomicRegionSequence"].is_undefined_length = True
        inner.is_undefined_length_sequence_item = True
    d.Rows, d.Columns = values.shape[-2:]
    d.SamplesPerPixel = 1
    d.PhotometricInterpretation = photometric
    d.BitsAllocated, d.BitsStored, d.HighBit = bits, stored, stored - 1
    d.PixelRepresentation = int(signed)
    if frames > 1:
        d.NumberOfFrames = frames
    if window:
        d.WindowCenter, d.WindowWidth = window
    if function:
        d.VOILUTFunction = function
    if slope is not None:
        d.RescaleSlope, d.RescaleIntercept = slope, intercept
    kind = np.dtype(f"{'i' if signed else 'u'}{bits // 8}")
    raw = values.astype(kind.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<")).tobytes()
    if jpeg is not None:
        d.PixelData = encapsulate(jpeg)
        d["PixelData"].VR = "OB"
        d["PixelData"].is_undefined_length = True
    elif syntax in (RLELossless, JPEG2000Lossless):  # to be refused before they are looked at
        d.PixelData = encapsulate([raw])
        d["PixelData"].VR = "OB"
        d["PixelData"].is_undefined_length = True
    else:
        d.PixelData = raw
        d["PixelData"].VR = "OB" if bits == 8 else "OW"
    d.save_as(here / name, enforce_file_format=True)
    return d


def expect(name, d, values):
    """By the file's own window."""
    out = apply_windowing(apply_modality_lut(values, d), d) if "WindowCenter" in d else apply_modality_lut(values, d)
    if "WindowCenter" in d:
        bottom, top = (-(1 << d.BitsStored - 1), (1 << d.BitsStored - 1) - 1) if d.PixelRepresentation else (0, (1 << d.BitsStored) - 1)
        if "RescaleSlope" in d:
            bottom, top = (bottom * d.RescaleSlope + d.RescaleIntercept, top * d.RescaleSlope + d.RescaleIntercept)
        out = (out - bottom) / (top - bottom) * 255
    grey = np.array(levels(out))
    expected[name] = (255 - grey if d.PhotometricInterpretation == "MONOCHROME1" else grey).tolist()


ct = pattern(20, 24, -900, 1200)
expect("ct_explicit.dcm", dicom("ct_explicit.dcm", ct + 1024, stored=12, window=(40, 400), slope=1, intercept=-1024, nested=True), (ct + 1024).astype(np.uint16))
expect("ct_implicit.dcm", dicom("ct_implicit.dcm", ct, signed=True, syntax=ImplicitVRLittleEndian, window=(40, 400), nested=True), ct.astype(np.int16))
expect("exact.dcm", dicom("exact.dcm", ct, signed=True, window=(100, 900), function="LINEAR_EXACT"), ct.astype(np.int16))
expect("sigmoid.dcm", dicom("sigmoid.dcm", ct, signed=True, window=(100, 900), function="SIGMOID"), ct.astype(np.int16))
expect("many_windows.dcm", dicom("many_windows.dcm", ct, signed=True, window=([40, 300], [400, 1500])), ct.astype(np.int16))
byte = pattern(11, 13, 0, 255)
expect("mono1.dcm", dicom("mono1.dcm", byte, bits=8, photometric="MONOCHROME1"), byte.astype(np.uint8))
expect("byte.dcm", dicom("byte.dcm", byte, bits=8), byte.astype(np.uint8))
signed = pattern(11, 13, -128, 127)
expect("signed_byte.dcm", dicom("signed_byte.dcm", signed, bits=8, signed=True, window=(0, 200)), signed.astype(np.int8))
expect("frames.dcm", dicom("frames.dcm", np.stack([byte, 255 - byte]), bits=8, frames=2), byte.astype(np.uint8))
dicom("no_window.dcm", ct + 1024)
low, high = ct.min(), ct.max()
expected["no_window.dcm"] = levels((ct - low) / (high - low) * 255)
expected["ct_explicit.dcm window 0,2000"] = levels((ct / 2000 + 0.5) * 255)

smooth = np.rint(128 + 100 * np.sin(np.mgrid[0:16, 0:16].sum(axis=0) / 6)).astype(np.uint8)
buffer = io.BytesIO()
Image.fromarray(smooth).save(buffer, "JPEG", quality=90)
d = dicom("jpeg.dcm", smooth, bits=8, syntax=JPEGBaseline8Bit, jpeg=[buffer.getvalue()])
expected["jpeg.dcm"] = np.asarray(Image.open(buffer)).astype(int).ravel().tolist()
other = io.BytesIO()
Image.fromarray(255 - smooth).save(other, "JPEG", quality=90)
dicom("jpeg_frames.dcm", np.stack([smooth, smooth]), bits=8, syntax=JPEGBaseline8Bit, jpeg=[buffer.getvalue(), other.getvalue()], frames=2)
expected["jpeg_frames.dcm"] = expected["jpeg.dcm"]
dicom("rle.dcm", byte, bits=8, syntax=RLELossless)
dicom("jpeg2000.dcm", byte, bits=8, syntax=JPEG2000Lossless)
dicom("big_endian.dcm", ct, signed=True, syntax=ExplicitVRBigEndian)

volume = np.stack([pattern(9, 12, 0, 1000 + 100 * k).T for k in range(5)], axis=2)


def nifti(name, values, k, window=None, slope=None, intercept=0, cal=None, endian="<"):
    header = nibabel.Nifti1Header(endianness=endian)
    header.set_data_dtype(values.dtype)
    image = nibabel.Nifti1Image(values, np.eye(4), header)
    if slope is not None:
        image.header.set_slope_inter(slope, intercept)
    if cal:
        image.header["cal_min"], image.header["cal_max"] = cal
    nibabel.save(image, here / name)
    if name.endswith(".gz"):  # without the time of day in it
        (here / name).write_bytes(gzip.compress(gzip.decompress((here / name).read_bytes()), mtime=0))
    loaded = np.asanyarray(nibabel.load(here / name).dataobj).astype(float)
    first = loaded[..., 0] if loaded.ndim == 4 else loaded
    finite = first[np.isfinite(first)]
    low, high = window or cal or (finite.min(), finite.max())
    rows = np.nan_to_num(np.clip((first[:, :, k].T - low) / (high - low), 0, 1), nan=0) * 255
    expected[f"{name}#{k}"] = levels(rows)


nifti("i16.nii", volume.astype(np.int16), 1)
nifti("i16.nii.gz", volume.astype(np.int16), 4)
nifti("big.nii", volume.astype(np.int16), 2, endian=">")
nifti("cal.nii.gz", volume.astype(np.uint16), 2, cal=(200.0, 700.0))
nifti("u8.nii", (volume / 8).astype(np.uint8), 0, window=(0, 255))
real = (volume / 1000).astype(np.float32)
real[0, 0, 2] = np.nan
nifti("f32.nii.gz", real, 2)
nifti("four.nii", np.stack([volume, volume * 0], axis=3).astype(np.float64), 3)

deep = pattern(12, 10, 1000, 60000).astype(np.uint16)
Image.fromarray(deep).save(here / "deep.png")
Image.fromarray(deep).save(here / "deep.tif", compression="tiff_lzw")
for name in ("deep.png", "deep.tif"):
    expected[f"{name} window 20000,30000"] = levels((deep.astype(float) - 20000) / 30000 * 255 + 127.5)
(here / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
