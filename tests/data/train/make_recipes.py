"""Writes what PyTorch's optimizers come to after 50 steps in float64, plain, clipped and with parameter groups, and what its
schedules give, for tests/train/optimizer_steps_test.cpp.

Needs torch, numpy. Run in this folder, beside goldens.npz: python make_recipes.py
"""
import numpy as np
import torch

START = {key: np.load("goldens.npz")[f"start/{key}"] for key in ["weight", "bias"]}
STEPS = 50
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 1, momentum=0.9, weight_decay=0.02),
    "nesterov": lambda p: torch.optim.SGD(p, 1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, 1, weight_decay=0.02),
    "adamw": lambda p: torch.optim.AdamW(p, 1, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 1, alpha=0.99, momentum=0.9, weight_decay=0.02),
    "rmsprop_plain": lambda p: torch.optim.RMSprop(p, 1, alpha=0.95, eps=1e-6),
}
results = {}


def run(make, groups, clip):
    parameters = {key: torch.nn.Parameter(torch.tensor(value)) for key, value in START.items()}
    optimizer = make([{"params": [p]} for p in parameters.values()])
    if groups:  # the weight learns at 0.65 of the rate, the bias has no weight decay
        optimizer.param_groups[1]["weight_decay"] = 0
    for step in range(STEPS):
        for parameter in parameters.values():
            w = parameter.detach()
            parameter.grad = 0.5 * w + 0.125 * (step % 4 - 1)
        if clip:
            torch.nn.utils.clip_grad_norm_(list(parameters.values()), clip)
        rate = 0.02 / (1 + step / 10)
        for group in optimizer.param_groups:
            group["lr"] = rate
        if groups:
            optimizer.param_groups[0]["lr"] = 0.65 * rate
        optimizer.step()
    return parameters


for name, make in OPTIMIZERS.items():
    for kind, groups, clip in [("plain", False, 0), ("groups", True, 0), ("clipped", False, 0.5)]:
        for key, parameter in run(make, groups, clip).items():
            results[f"{name}/{kind}/{key}"] = parameter.detach().numpy()

for steps in [7, 50]:
    for name, make in {
        "polynomial": lambda o, n: torch.optim.lr_scheduler.PolynomialLR(o, total_iters=n, power=0.9),
        "exponential": lambda o, n: torch.optim.lr_scheduler.ExponentialLR(o, gamma=0.01 ** (1 / n)),
    }.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.3)
        schedule = make(optimizer, steps)
        rates = []
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        results[f"schedule/{name}/{steps}"] = np.array(rates)

# The rate after each of these validation losses.
losses = [1, 0.9, 0.95, 0.9, 0.89999, 0.8, 0.85, 0.8, 0.8, 0.81, 0.8, 0.82, 0.79995, 0.5, 0.6, 0.6, 0.6]
optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2)
rates = []
for loss in losses:
    optimizer.step()
    schedule.step(loss)
    rates.append(optimizer.param_groups[0]["lr"])
results["plateau/losses"], results["plateau/rates"] = np.array(losses, float), np.array(rates)
np.savez_compressed("recipes.npz", **results)
