"""Writes task_goldens.h: what scikit-learn says of made-up answers. Needs numpy and scikit-learn.

    python3 tests/train/tasks/make_goldens.py > tests/train/tasks/task_goldens.h
"""
import numpy as np
import sklearn
from sklearn import metrics

SAMPLES, LABELS, NUMBERS = 17, 4, 2
rng = np.random.default_rng(14)


def array(kind, name, values):
    flat = ", ".join(repr(v) for v in np.asarray(values).ravel().tolist())
    print(f"inline const std::vector<{kind}> {name} = {{{flat}}};")


# Logits in steps of a half, so that some are equal: ties are where average precisions differ.
target = (rng.random((SAMPLES, LABELS)) < [0.5, 0.3, 0.2, 0.7]).astype(int)
logits = np.round(2 * (rng.normal(size=(SAMPLES, LABELS)) + 1.2 * (2 * target - 1) * 0.6)) / 2
probability = 1 / (1 + np.exp(-logits))
predicted = (probability >= 0.5).astype(int)
assert target.sum(axis=0).min() >= 2

numbers = rng.normal(size=(SAMPLES, NUMBERS)) * [10, 0.5] + [40, -3]
guesses = numbers + rng.normal(size=numbers.shape) * [4, 0.4]
numbers, guesses = np.round(numbers, 3), np.round(guesses, 3)

print("// Made by make_goldens.py with scikit-learn " + sklearn.__version__ + ".")
print("#pragma once\n#include <vector>\n\n// clang-format off\nnamespace graft::train::goldens {\n")
print(f"inline constexpr int kSamples = {SAMPLES}, kLabels = {LABELS}, kNumbers = {NUMBERS};")
array("float", "kLogits", logits)
array("float", "kTargets", target.astype(float))
array("double", "kAveragePrecisions",
      metrics.average_precision_score(target, probability, average=None))
array("double", "kF1", metrics.f1_score(target, predicted, average=None))
print(f"inline constexpr double kMeanAp = "
      f"{float(metrics.average_precision_score(target, probability, average='macro'))!r},")
print(f"    kMacroF1 = {float(metrics.f1_score(target, predicted, average='macro'))!r},")
print(f"    kMicroF1 = {float(metrics.f1_score(target, predicted, average='micro'))!r},")
print(f"    kLogLoss = {float(np.mean([metrics.log_loss(target[:, c], probability[:, c]) for c in range(LABELS)]))!r};")
array("float", "kNumbersMeant", numbers)
array("float", "kNumbersSaid", guesses)
array("double", "kMae", metrics.mean_absolute_error(numbers, guesses, multioutput="raw_values"))
array("double", "kRmse",
      np.sqrt(metrics.mean_squared_error(numbers, guesses, multioutput="raw_values")))
array("double", "kR2", metrics.r2_score(numbers, guesses, multioutput="raw_values"))
print("\n}  // namespace graft::train::goldens\n// clang-format on")
