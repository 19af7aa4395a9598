"""Writes task_goldens.h: what scikit-learn and SciPy say of made-up answers. Needs both.

    python3 tests/train/tasks/make_goldens.py > tests/train/tasks/task_goldens.h
"""
import numpy as np
import scipy.special
import sklearn
from sklearn import metrics

SAMPLES, LABELS, NUMBERS = 17, 4, 2
POSITIVE_WEIGHTS = [1.0, 3.0, 0.5, 2.0]
rng = np.random.default_rng(14)


def array(kind, name, values):
    flat = ", ".join(repr(v) for v in np.asarray(values).ravel().tolist())
    print(f"inline const std::vector<{kind}> {name} = {{{flat}}};")


def log_loss(positive_weights):
    """The mean over samples and labels; of the samples that have a label, times its weight."""
    return float(np.mean([metrics.log_loss(
        target[:, c], probability[:, c], normalize=False,
        sample_weight=np.where(target[:, c] == 1, w, 1.0)) / SAMPLES
        for c, w in enumerate(positive_weights)]))


# Logits in steps of a half, so that some are equal: ties are where average precisions differ.
target = (rng.random((SAMPLES, LABELS)) < [0.5, 0.3, 0.2, 0.7]).astype(int)
logits = np.round(2 * (rng.normal(size=(SAMPLES, LABELS)) + 1.2 * (2 * target - 1) * 0.6)) / 2
probability = 1 / (1 + np.exp(-logits))
predicted = (probability >= 0.5).astype(int)
assert target.sum(axis=0).min() >= 2

numbers = rng.normal(size=(SAMPLES, NUMBERS)) * [10, 0.5] + [40, -3]
guesses = numbers + rng.normal(size=numbers.shape) * [4, 0.4]
numbers, guesses = np.round(numbers, 3), np.round(guesses, 3)

print("// What scikit-learn " + sklearn.__version__ + " and SciPy " + scipy.__version__ +
      " say of made-up answers: made by make_goldens.py.")
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
print(f"    kLogLoss = {log_loss([1] * LABELS)!r},")
print(f"    kWeightedLogLoss = {log_loss(POSITIVE_WEIGHTS)!r};")
array("double", "kPositiveWeights", POSITIVE_WEIGHTS)
array("float", "kNumbersMeant", numbers)
array("float", "kNumbersSaid", guesses)
array("double", "kMae", metrics.mean_absolute_error(numbers, guesses, multioutput="raw_values"))
array("double", "kRmse",
      np.sqrt(metrics.mean_squared_error(numbers, guesses, multioutput="raw_values")))
array("double", "kR2", metrics.r2_score(numbers, guesses, multioutput="raw_values"))
far = guesses - numbers
print(f"inline constexpr double kMeanSquaredError = {float(metrics.mean_squared_error(numbers, guesses))!r},")
print(f"    kMeanAbsoluteError = {float(metrics.mean_absolute_error(numbers, guesses))!r},")
print(f"    kHuberLoss = {float(np.mean(scipy.special.huber(1, far)))!r};")
print("\n}  // namespace graft::train::goldens\n// clang-format on")
