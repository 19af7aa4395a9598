"""Writes what PyTorch's optimizers and schedules and scikit-learn's metrics compute, for tests/train.

Needs torch, numpy, scikit-learn. Run in this folder: python make_train.py
"""
import numpy as np
import sklearn.metrics
import torch

rng = np.random.default_rng(11)
goldens = {}

# Optimizers: two parameters, 20 steps; the gradient is a polynomial of the weights and the step, so that a test can compute it.
START = {"weight": rng.standard_normal((5, 3)), "bias": rng.standard_normal(4)}
STEPS = 20
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 1),
    "sgd_decay": lambda p: torch.optim.SGD(p, 1, weight_decay=0.02),
    "momentum": lambda p: torch.optim.SGD(p, 1, momentum=0.9),
    "momentum_decay": lambda p: torch.optim.SGD(p, 1, momentum=0.8, weight_decay=0.02),
    "nesterov": lambda p: torch.optim.SGD(p, 1, momentum=0.9, nesterov=True, weight_decay=0.02),
    "adam": lambda p: torch.optim.Adam(p, 1),
    "adam_decay": lambda p: torch.optim.Adam(p, 1, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.02),
    "adamw": lambda p: torch.optim.AdamW(p, 1, weight_decay=0.1),
}


def rate(step):
    return 0.05 / (1 + step)


for name, make in OPTIMIZERS.items():
    for dtype in [torch.float64, torch.float32]:
        parameters = {key: torch.nn.Parameter(torch.tensor(value, dtype=dtype)) for key, value in START.items()}
        optimizer = make(list(parameters.values()))
        for step in range(STEPS):
            for parameter in parameters.values():
                w = parameter.detach()
                parameter.grad = 0.5 * w * w - 0.25 * w + 0.125 * (step % 4 - 1)
            optimizer.param_groups[0]["lr"] = rate(step)
            optimizer.step()
        for key, parameter in parameters.items():
            goldens[f"{name}/{dtype}".replace("torch.", "") + f"/{key}"] = parameter.detach().numpy()
for key, value in START.items():
    goldens[f"start/{key}"] = value

# Schedules over 100 and 7 steps
for steps in [7, 100]:
    for name, make in {
        "onecycle": lambda o, n: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.3, total_steps=n),
        "cosine": lambda o, n: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=n),
        "constant": lambda o, n: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0),
        "step": lambda o, n: torch.optim.lr_scheduler.MultiStepLR(o, [-(-n // 3), -(-2 * n // 3)], 0.1),
        "warm_cosine": lambda o, n: torch.optim.lr_scheduler.SequentialLR(
            o, [torch.optim.lr_scheduler.LinearLR(o, 1 / 3, 1, total_iters=2), torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=n - 3)], [3]),
    }.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.3)
        schedule = make(optimizer, steps)
        rates = []
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        goldens[f"schedule/{name}/{steps}"] = np.array(rates)

# Metrics
logits = rng.standard_normal((60, 5)).astype(np.float32)
logits[:, 4] = -9  # a class that is never predicted
labels = rng.integers(0, 4, 60)
labels[labels == 3] = 4  # and one without samples
predicted = logits.argmax(1)
goldens |= {"metrics/logits": logits, "metrics/labels": labels, "metrics/predicted": predicted}
goldens["metrics/confusion"] = sklearn.metrics.confusion_matrix(labels, predicted, labels=range(5))
goldens["metrics/accuracy"] = np.array(sklearn.metrics.accuracy_score(labels, predicted))
precision, recall, _, _ = sklearn.metrics.precision_recall_fscore_support(labels, predicted, labels=range(5), zero_division=0)
goldens["metrics/precision"], goldens["metrics/recall"] = precision, recall
np.savez_compressed("goldens.npz", **goldens)
