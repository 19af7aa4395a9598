#!/usr/bin/env python3
"""Goldens of the CTC loss, of prefix-beam search and of edit distances:
    python3 tests/golden/make_ctc.py tests/data/ctc/goldens.npz
The losses and their gradients are PyTorch's (torch.nn.functional.ctc_loss in float64 on log_softmax). The beam is an independent
numpy implementation of Hannun et al. 2014 without a language model, in probabilities and not in log space. Distances are by recursion
over pairs of tails with a memory, not by rows."""
import functools
import sys

import numpy as np
import torch

rng = np.random.default_rng(11)
arrays = {}

# name: steps, classes, labels of each sample, steps that count (None: all), scale of the logits, blank
CASES = {
    "plain": (12, 5, [[1, 2, 3], [4, 4], [2]], None, 2, 0),
    "repeats": (9, 4, [[1, 1, 1, 1], [2, 2, 3, 3]], None, 1, 0),
    "just_fits": (7, 4, [[1, 1, 2, 2, 3], [1, 2, 3, 1, 2]], None, 3, 0),
    "empty": (6, 3, [[], [1, 2]], None, 2, 0),
    "lengths": (10, 6, [[1, 2, 5], [3, 3], [4]], [10, 5, 3], 2, 0),
    "last_blank": (8, 4, [[0, 1, 2], [2, 2]], None, 2, 3),
    "sharp": (20, 6, [[1, 2, 3, 4, 5], [5, 5, 5]], None, 40, 0),
    "unreachable": (4, 3, [[1, 1, 1], [1, 2]], None, 2, 0),
}
for name, (steps, classes, labels, lengths, scale, blank) in CASES.items():
    n = len(labels)
    logits = rng.standard_normal((n, steps, classes)) * scale
    most = max(1, max(len(own) for own in labels))
    target = np.full((n, most), -1, np.int64)
    for i, own in enumerate(labels):
        target[i, :len(own)] = own
    own_steps = torch.tensor(lengths if lengths else [steps] * n)
    flat = torch.tensor([c for own in labels for c in own], dtype=torch.long)
    sizes = torch.tensor([len(own) for own in labels])
    arrays[name + "_logits"], arrays[name + "_target"] = logits, target
    if lengths:
        arrays[name + "_lengths"] = np.array(lengths, np.int64)
    for reduction in ("mean", "sum"):
        x = torch.tensor(logits, requires_grad=True)
        loss = torch.nn.functional.ctc_loss(torch.log_softmax(x, 2).transpose(0, 1), flat, own_steps, sizes, blank=blank,
                                            reduction=reduction, zero_infinity=True)
        loss.backward()
        arrays[f"{name}_{reduction}"] = np.array([loss.item()])
        arrays[f"{name}_{reduction}_gradient"] = x.grad.numpy()


def beam(p, width, blank=0):
    """p: [T,C]. The prefixes that are left with their probabilities, the most probable first."""
    left = {(): (1.0, 0.0)}  # prefix: probability of its paths that end in a blank, and in its last label
    for row in p:
        new = {}

        def add(prefix, ends_blank, amount):
            b, l = new.get(prefix, (0.0, 0.0))
            new[prefix] = (b + amount, l) if ends_blank else (b, l + amount)

        for prefix, (b, l) in left.items():
            add(prefix, True, (b + l) * row[blank])
            for c in range(len(row)):
                if c == blank:
                    continue
                if prefix and prefix[-1] == c:
                    add(prefix, False, l * row[c])
                    add(prefix + (c,), False, b * row[c])
                else:
                    add(prefix + (c,), False, (b + l) * row[c])
        left = dict(sorted(new.items(), key=lambda e: (-sum(e[1]), e[0]))[:width])
    return [(prefix, b + l) for prefix, (b, l) in left.items()]


for k, (steps, classes, width) in enumerate([(6, 4, 3), (15, 7, 8), (40, 12, 16)]):
    logits = rng.standard_normal((steps, classes)) * 2
    p = torch.softmax(torch.tensor(logits), 1).numpy()
    found = beam(p, width)
    arrays[f"beam{k}_logits"] = logits
    arrays[f"beam{k}_width"] = np.array([width], np.int64)
    arrays[f"beam{k}_best"] = np.array(found[0][0], np.int64)
    arrays[f"beam{k}_log"] = np.log([q for _, q in found])


@functools.lru_cache(maxsize=None)
def distance(a, b):
    if not a or not b:
        return len(a) + len(b)
    return min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0]))


pairs, expected = [], []
for _ in range(24):
    a, b = (tuple(int(v) for v in rng.integers(0, 3, rng.integers(0, 10))) for _ in range(2))
    row = np.full(20, -1, np.int64)
    row[:len(a)], row[10:10 + len(b)] = a, b
    pairs.append(row)
    expected.append(distance(a, b))
arrays["distance_pairs"], arrays["distance"] = np.array(pairs), np.array(expected, np.int64)
np.savez_compressed(sys.argv[1], **arrays)
