"""Writes what NumPy, SciPy and scikit-learn say of the transferability of made-up features.

Needs numpy, scipy, scikit-learn. Run in this folder: python make_transferability.py
"""
import numpy as np
from scipy.optimize import minimize
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(19)
FOLDS = 5


def log_evidence(x, t):
    """The highest evidence of t ~ N(0, I/b + xx'/a), by direct search from many starts."""
    values, vectors = np.linalg.eigh(x @ x.T)
    values, parts = np.clip(values, 0, None), (vectors.T @ t) ** 2

    def cost(p):
        variance = np.exp(-p[1]) + values * np.exp(-p[0])
        return 0.5 * (np.log(variance).sum() + (parts / variance).sum() + len(t) * np.log(2 * np.pi)) / len(t)

    tight = dict(xatol=1e-11, fatol=1e-15, maxiter=9000, maxfev=9000)
    starts = [(a, b) for a in (-3.0, 0.0, 3.0, 6.0) for b in (0.0, 3.0, 6.0)]
    return -min(minimize(cost, s, method="Nelder-Mead", options=tight).fun for s in starts)


def h_score(x, y):
    x = x - x.mean(0)
    covariance, shrinkage = ledoit_wolf(x, assume_centered=True)
    means = np.zeros_like(x)
    for c in np.unique(y):
        means[y == c] = x[y == c].mean(0)
    return (1 - shrinkage) * np.trace(np.linalg.solve(covariance, means.T @ means / len(x))), shrinkage


def leep(p, y):
    joint = np.stack([p[y == c].sum(0) for c in np.unique(y)])
    given = joint / joint.sum(0)
    return np.mean(np.log((p @ given.T)[np.arange(len(y)), y]))


def neighbors(x, y, k):
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    right = 0
    for i in range(len(y)):
        cosines = x @ x[i]
        cosines[i] = -np.inf
        near = y[np.argsort(-cosines, kind="stable")[:k]]
        votes = np.bincount(near)
        right += next(c for c in near if votes[c] == votes.max()) == y[i]
    return right / len(y)


def folds(y):
    fold, at = np.zeros(len(y), int), 0
    for c in np.unique(y):
        for i in np.where(y == c)[0]:
            fold[i], at = at % FOLDS, at + 1
    return fold


def regression(strength):
    return LogisticRegression(C=strength, solver="newton-cg", tol=1e-12, max_iter=20000)


def probe(x, y, strength):
    right, fold = np.zeros(len(y), np.int64), folds(y)
    for f in range(FOLDS):
        scale = StandardScaler().fit(x[fold != f])
        model = regression(strength).fit(scale.transform(x[fold != f]), y[fold != f])
        right[fold == f] = model.predict(scale.transform(x[fold == f])) == y[fold == f]
    return right


goldens = {}
for name, samples, features, classes, rank, spread in [
    ("tall", 90, 12, 3, 12, 1.1), ("wide", 36, 70, 4, 36, 0.8), ("low_rank", 80, 20, 5, 6, 0.9)]:
    y = rng.integers(0, classes, samples)
    y[:classes] = np.arange(classes)
    hidden = rng.standard_normal((samples, rank)) + spread * rng.standard_normal((classes, rank))[y]
    x = (hidden @ rng.standard_normal((rank, features)) + 0.5).astype(np.float32)
    logits = 1.5 * rng.standard_normal((samples, 7)) + rng.standard_normal((classes, 7))[y]
    p = np.exp(logits)
    p = (p / p.sum(1, keepdims=True)).astype(np.float32)
    wide = x.astype(np.float64)
    model = regression(0.05).fit(wide, y)
    rights = [probe(wide, y, s) for s in [1e-3, 3e-2] + [10 / features] * (10 / features > 3e-2)]
    best = rights[int(np.argmax([r.mean() for r in rights]))]
    score, shrinkage = h_score(wide, y)
    goldens |= {
        f"{name}.x": x, f"{name}.y": y.astype(np.int64), f"{name}.p": p,
        f"{name}.log_evidence": np.mean([log_evidence(wide, (y == c).astype(float)) for c in np.unique(y)]),
        f"{name}.h_score": score, f"{name}.shrinkage": shrinkage, f"{name}.leep": leep(p.astype(np.float64), y),
        f"{name}.neighbors": np.array([neighbors(wide, y, 1), neighbors(wide, y, 5)]),
        f"{name}.weight": model.coef_, f"{name}.bias": model.intercept_,
        f"{name}.right": best, f"{name}.fold": folds(y)}
np.savez_compressed("transferability.npz", **goldens)
print({key: value for key, value in goldens.items() if np.size(value) <= 2})
