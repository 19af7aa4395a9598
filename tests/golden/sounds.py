#!/usr/bin/env python3
"""Goldens of io/sounds by librosa and numpy: python3 tests/golden/sounds.py tests/data/sounds/spectrograms.npz
librosa 0.11 computes spectrograms, MFCCs and trimming; resampling is torchaudio.functional.resample's formula (sinc_interp_hann,
lowpass_filter_width 6, rolloff 0.99), written out here in numpy."""
import math
import sys

import librosa
import numpy as np

rng = np.random.default_rng(7)


def tone(rate, seconds):
    t = np.arange(int(rate * seconds)) / rate
    y = 0.4 * np.sin(2 * np.pi * (300 + 900 * t) * t) + 0.2 * np.sin(2 * np.pi * 2200 * t) * np.exp(-6 * t)
    return (y + 0.01 * rng.standard_normal(t.size)).astype(np.float32)


def resample(x, orig, new, width=6, rolloff=0.99):
    g = math.gcd(orig, new)
    orig, new = orig // g, new // g
    base = min(orig, new) * rolloff
    reach = math.ceil(width * orig / base)
    padded = np.pad(x.astype(np.float64), (reach, reach + orig))
    length = -(-new * x.size // orig)
    out = np.zeros(length)
    idx = np.arange(-reach, reach + orig) / orig
    for n in range(length):
        block, phase = divmod(n, new)
        t = np.clip((-phase / new + idx) * base, -width, width)
        window = np.cos(t * np.pi / width / 2) ** 2
        t = t * np.pi
        kernel = np.where(t == 0, 1.0, np.sin(t) / np.where(t == 0, 1.0, t)) * window * base / orig
        out[n] = padded[block * orig:block * orig + kernel.size] @ kernel
    return out.astype(np.float32)


arrays = {}
x = tone(8000, 0.3)  # 2400 samples
arrays["x"] = x


def mel_power(n_fft, win, hop, window="hann", center=True, pad="constant", power=2.0, **mel):
    s = np.abs(librosa.stft(x.astype(np.float64), n_fft=n_fft, win_length=win, hop_length=hop, window=window,
                            center=center, pad_mode=pad)) ** power
    return librosa.filters.mel(sr=8000, n_fft=n_fft, dtype=np.float64, **mel) @ s if mel else s


p = mel_power(256, 256, 80, n_mels=40)
arrays["logmel"] = librosa.power_to_db(p, ref=np.max, top_db=80)
arrays["mel"] = p
arrays["ln_htk"] = np.log(mel_power(256, 200, 80, pad="reflect", n_mels=32, htk=True, norm=None, fmin=20, fmax=3800) + 1e-6)
s = mel_power(128, 100, 60, window="hamming", power=1.0)
arrays["amplitude"] = librosa.amplitude_to_db(s, ref=1.0, amin=1e-5, top_db=None)
arrays["odd_fft"] = librosa.power_to_db(mel_power(400, 400, 80, center=False, window="boxcar", n_mels=24), ref=1.0, top_db=60)
m = librosa.power_to_db(p, ref=1.0, top_db=80)
arrays["mfcc"] = librosa.feature.mfcc(S=m, n_mfcc=13, dct_type=2, norm="ortho", lifter=22)
arrays["bands_slaney"] = librosa.filters.mel(sr=16000, n_fft=512, n_mels=16, fmin=50, fmax=7000)
arrays["bands_htk"] = librosa.filters.mel(sr=16000, n_fft=512, n_mels=16, htk=True, norm=None)

short = x[:600]
arrays["short"] = short
for orig, new in ((8000, 16000), (44100, 16000), (16000, 11025), (8000, 7999)):
    arrays[f"from_{orig}_to_{new}"] = resample(short, orig, new)

quiet = np.concatenate([np.zeros(3000), x, np.zeros(4100)]).astype(np.float32)
_, edges = librosa.effects.trim(quiet, top_db=30)
arrays["trim"] = np.array(edges, dtype=np.int64)

np.savez_compressed(sys.argv[1], **{k: (v if v.dtype == np.int64 else v.astype(np.float32)) for k, v in arrays.items()})
print({k: v.shape for k, v in arrays.items()})
