#!/usr/bin/env python3
"""Writes discrimination_goldens.h: what scikit-learn and SciPy make of the scores of discrimination_test.cpp, and of the same
draws with replacement (Philox4x32-10, as core/runtime/random.h counts them).
Made with scikit-learn 1.9.1 and SciPy 1.17.1: python make_discrimination_goldens.py > discrimination_goldens.h"""
import math

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve

M64, M32 = (1 << 64) - 1, (1 << 32) - 1
BOOTSTRAP = 8


def mix(a, b):
    z = (a + 0x9E3779B97F4A7C15 * (b + 1)) & M64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return z ^ (z >> 31)


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & M32, (a >> 32) ^ c[3] ^ k[1], a & M32]
        k = [(k[0] + 0x9E3779B9) & M32, (k[1] + 0xBB67AE85) & M32]
    return c


class Counted:
    def __init__(self, seed, sample):
        self.key = (seed & M32, seed >> 32)
        stream = mix(mix(BOOTSTRAP, 0), sample)
        self.stream = (stream & M32, stream >> 32, BOOTSTRAP)
        self.at = 0

    def next(self):
        block = philox((self.at // 4, *self.stream), self.key)
        self.at += 1
        return block[(self.at - 1) % 4]

    def below(self, bound):
        limit = M64 - M64 % bound
        while True:
            value = self.next() << 32 | self.next()
            if value < limit:
                return value % bound


def case(samples, classes, seed):
    """As made_up() of the test: multiples of 1/16, so that there are ties."""
    state, logits, labels = seed, [], []
    for i in range(samples):
        label = (7 * i + i // 5) % classes
        labels.append(label)
        for c in range(classes):
            state = (state * 6364136223846793005 + 1442695040888963407) & M64
            logits.append(((state >> 33) % 64 + (12 if c == label else 0)) / 16)
    return np.array(logits).reshape(samples, classes), np.array(labels)


def sensitivity(positive, score, specificity):
    fpr, tpr, _ = roc_curve(positive, score, drop_intermediate=False)
    return tpr[fpr <= 1 - specificity + 1e-9].max()


def figures(logits, labels, specificity):
    classes = logits.shape[1]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    said = logits.argmax(axis=1)
    known = [c for c in range(classes) if 0 < (labels == c).sum() < len(labels)]
    each = {c: roc_auc_score(labels == c, p[:, c]) for c in known}
    out = {"auc": np.mean(list(each.values())) if known else math.nan, "balanced": balanced_accuracy_score(labels, said)}
    for c in range(classes):
        out[f"auc {c}"] = each.get(c, math.nan)
        out[f"sensitivity {c}"] = sensitivity(labels == c, p[:, c], specificity) if c in known else math.nan
    if len(known) == classes and classes > 2:
        assert abs(out["auc"] - roc_auc_score(labels, p, multi_class="ovr")) < 1e-12
    return out


def main():
    print("// Written by make_discrimination_goldens.py.\n#pragma once\n#include <cstdint>\n#include <vector>\n")
    print("namespace graft::train {\n")
    print("struct DiscriminationGolden {\n  int64_t samples, classes;\n  uint64_t seed;\n  int64_t group;  // samples of each; 0: none")
    print("  double specificity;\n  // Value, 2.5 % and 97.5 % of 200 draws: AUC, balanced accuracy, then AUC and sensitivity of each class.")
    print("  std::vector<double> figures;\n};\n")
    print("inline const std::vector<DiscriminationGolden> kDiscriminationGoldens = {")
    for samples, classes, seed, group, specificity in [(40, 2, 1, 0, 0.9), (60, 3, 2, 0, 0.9), (60, 3, 3, 4, 0.75), (48, 2, 4, 6, 0.95)]:
        logits, labels = case(samples, classes, seed)
        own = figures(logits, labels, specificity)
        draws = {name: [] for name in own}
        of_group = np.arange(samples) // group if group else np.arange(samples)
        groups = of_group.max() + 1
        for draw in range(200):
            random = Counted(seed, draw)
            drawn = [random.below(int(groups)) for _ in range(groups)]
            index = np.concatenate([np.flatnonzero(of_group == g) for g in drawn])
            for name, value in figures(logits[index], labels[index], specificity).items():
                if not math.isnan(value):
                    draws[name].append(value)
        numbers = []
        for name, value in own.items():
            numbers += [value, *np.quantile(draws[name], [0.025, 0.975])]
        body = ", ".join(repr(float(x)) for x in numbers)
        print(f"    {{{samples}, {classes}, {seed}, {group}, {specificity}, {{{body}}}}},")
    print("};\n\nstruct McNemarGolden {\n  int64_t first, second;\n  double p;\n};\n")
    print("inline const std::vector<McNemarGolden> kMcNemarGoldens = {")
    for first, second in [(0, 0), (5, 5), (0, 5), (1, 9), (12, 3), (100, 60), (1200, 1100)]:
        p = binomtest(min(first, second), first + second).pvalue if first + second else 1.0
        print(f"    {{{first}, {second}, {float(p)!r}}},")
    print("};\n\n}  // namespace graft::train")


main()
