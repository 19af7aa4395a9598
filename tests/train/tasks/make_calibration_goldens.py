"""Writes calibration_goldens.h: what SciPy, NumPy and cleanlab say of made-up logits. Needs all three.

    python3 tests/train/tasks/make_calibration_goldens.py > tests/train/tasks/calibration_goldens.h
"""
import cleanlab
import numpy as np
import scipy
from cleanlab.filter import find_label_issues
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

SAMPLES, CLASSES, BINS = 60, 4, 15
rng = np.random.default_rng(19)

labels = rng.integers(0, CLASSES, SAMPLES)
true = np.where(rng.random(SAMPLES) < 0.2, rng.integers(0, CLASSES, SAMPLES), labels)  # some labels are wrong
logits = rng.normal(size=(SAMPLES, CLASSES)) * 2
logits[np.arange(SAMPLES), true] += 4
logits = np.round(logits, 3).astype(np.float32).astype(np.float64)


def loss(temperature):
    return -log_softmax(logits / temperature, axis=1)[np.arange(SAMPLES), labels].mean()


def calibration_error(temperature):
    """As the paper's code: bins (low, high]."""
    p = softmax(logits / temperature, axis=1)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    edges, error = np.linspace(0, 1, BINS + 1), 0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
    return float(error)


temperature = float(minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-12}).x)
issues = find_label_issues(labels, softmax(logits, axis=1), filter_by="confident_learning",
                           return_indices_ranked_by="normalized_margin")


def array(kind, name, values):
    print(f"inline const std::vector<{kind}> {name} = {{{', '.join(repr(v) for v in np.asarray(values).ravel().tolist())}}};")


print(f"// What SciPy {scipy.__version__}, NumPy {np.__version__} and cleanlab {cleanlab.__version__} say of made-up logits: made by\n"
      "// make_calibration_goldens.py.")
print("#pragma once\n#include <cstdint>\n#include <vector>\n\n// clang-format off\nnamespace graft::train::goldens {\n")
print(f"inline constexpr int kJudged = {SAMPLES}, kJudgedClasses = {CLASSES};")
array("int32_t", "kJudgedLabels", labels)
array("float", "kJudgedLogits", logits)
print(f"inline constexpr double kTemperature = {temperature!r},")
print(f"    kLossBefore = {float(loss(1))!r}, kLossAfter = {float(loss(temperature))!r},")
print(f"    kErrorBefore = {calibration_error(1)!r}, kErrorAfter = {calibration_error(temperature)!r};")
array("int64_t", "kLabelIssues", issues)  # the least likely first
print("\n}  // namespace graft::train::goldens\n// clang-format on")
