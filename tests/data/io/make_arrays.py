"""Pickles of NumPy arrays, as Detectron and PaddlePaddle publish weights: arrays2.pkl (protocol 2, whose bytes are texts)
and arrays4.pkl. pip install numpy; python make_arrays.py"""
import pickle

import numpy as np

arrays = {
    "plain": np.arange(6, dtype=np.float32).reshape(2, 3) - 2.5,
    "big_endian": np.array([1.5, -2], dtype=">f4"),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
    "half": np.array([0.5, 300], dtype=np.float16),
    "names": np.array(["a", "b"], dtype=object),
}
for protocol in (2, 4):
    with open(f"arrays{protocol}.pkl", "wb") as file:
        pickle.dump({"model": arrays, "__author__": "somebody"}, file, protocol=protocol)
