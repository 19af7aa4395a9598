"""Writes tests/data/train/large_steps.npz: what 50 steps in float64 of timm's Lars and Lamb, of SAM and of L2-SP come to, and focal
losses, for tests/train/optimizer_steps_test.cpp and tests/train/focal_loss_test.cpp.

SAM: the two passes of Foret et al. (ICLR 2021), as github.com/davda54/sam: e = rho * g / (|g| + 1e-12), |g| over all parameters.
L2-SP (Li et al., ICML 2018): strength / 2 * |w - start|^2 in the loss of the weight; the bias has weight decay.
Focal loss (Lin et al., 2017): - (1 - p)^2 log p of softmax's p, gradients by autograd.

Needs numpy, torch, timm. Run in this folder: python make_large_steps.py
"""
import numpy as np
import torch
from timm.optim.lamb import Lamb
from timm.optim.lars import Lars

DATA = "../data/train/"
START = {key: np.load(DATA + "goldens.npz")[f"start/{key}"] for key in ["weight", "bias"]}
STEPS = 50
results = {}


def simple(w, step):
    return 0.5 * w + 0.125 * (step % 4 - 1)


def waving(w, step):
    return 0.5 * torch.sin(2 * w) + 0.125 * (step % 4 - 1)


def rate_of(step):
    return 0.02 / (1 + step / 10)


def run(make, gradient=simple, groups=False, clip=0.0, rho=0.0, pull=0.0):
    parameters = {key: torch.nn.Parameter(torch.tensor(value)) for key, value in START.items()}
    start = {key: p.detach().clone() for key, p in parameters.items()}
    optimizer = make([{"params": [p]} for p in parameters.values()])
    if groups:  # the weight learns at 0.65 of the rate, the bias has no weight decay
        optimizer.param_groups[1]["weight_decay"] = 0
    if pull:  # the weight has no weight decay
        optimizer.param_groups[0]["weight_decay"] = 0

    def set_gradients(step):
        for key, p in parameters.items():
            p.grad = gradient(p.detach(), step)
            if pull and key == "weight":
                away = p.detach().clone().requires_grad_(True)
                (pull / 2 * ((away - start[key]) ** 2).sum()).backward()
                p.grad += away.grad

    for step in range(STEPS):
        set_gradients(step)
        if rho:
            norm = torch.sqrt(sum((p.grad**2).sum() for p in parameters.values()))
            before = {key: p.detach().clone() for key, p in parameters.items()}
            with torch.no_grad():
                for p in parameters.values():
                    p += rho / (norm + 1e-12) * p.grad
            set_gradients(step)
            with torch.no_grad():
                for key, p in parameters.items():
                    p.copy_(before[key])
        if clip:
            torch.nn.utils.clip_grad_norm_(list(parameters.values()), clip)
        for group in optimizer.param_groups:
            group["lr"] = rate_of(step)
        if groups:
            optimizer.param_groups[0]["lr"] = 0.65 * rate_of(step)
        optimizer.step()
    return parameters


def keep(name, parameters):
    for key, parameter in parameters.items():
        results[f"{name}/{key}"] = parameter.detach().numpy()


TRUST = {
    "lars": lambda p: Lars(p, 1, momentum=0.9, weight_decay=0.02),
    "lars_nesterov": lambda p: Lars(p, 1, momentum=0.9, weight_decay=0.02, nesterov=True),
    "lars_plain": lambda p: Lars(p, 1, momentum=0, weight_decay=0.02),
    "lamb": lambda p: Lamb(p, 1, weight_decay=0.02, max_grad_norm=None),
    "lamb_betas": lambda p: Lamb(p, 1, betas=(0.8, 0.95), eps=1e-8, weight_decay=0.1, max_grad_norm=None),
}
for name, make in TRUST.items():
    for kind, groups, clip in [("plain", False, 0), ("groups", True, 0), ("clipped", False, 0.5)]:
        keep(f"{name}/{kind}", run(make, groups=groups, clip=clip))
for name, make in {
    "sgd": lambda p: torch.optim.SGD(p, 1, momentum=0.9, weight_decay=0.02),
    "adamw": lambda p: torch.optim.AdamW(p, 1, weight_decay=0.1),
}.items():
    keep(f"sam/{name}", run(make, gradient=waving, rho=0.05))
    keep(f"l2sp/{name}/plain", run(make, pull=0.3))
    keep(f"l2sp/{name}/clipped", run(make, pull=0.3, clip=0.5))

random = np.random.default_rng(7)
logits = torch.tensor(random.normal(0, 2, (12, 5)).astype("float32"), requires_grad=True)
labels = torch.tensor(random.integers(0, 5, 12))
weights = torch.tensor([0.5, 2, 1, 0.25, 3], dtype=torch.float32)
mixed = 0.7 * torch.eye(5)[labels] + 0.3 * torch.eye(5)[labels.roll(1)]
results["focal/logits"], results["focal/labels"] = logits.detach().numpy(), labels.numpy()


def focal(t, class_weights, divided_by):
    log_p = torch.log_softmax(logits.double(), 1)
    loss = -(t.double() * class_weights.double() * (1 - log_p.exp()) ** 2 * log_p).sum() / divided_by
    (gradient,) = torch.autograd.grad(loss, logits)
    return loss.detach().numpy(), gradient.numpy()


hot = torch.eye(5)[labels]
for name, args in {
    "plain": (hot, torch.ones(5), 12),
    "weighed": (hot, weights, weights[labels].double().sum()),
    "smoothed": (0.9 * hot + 0.1 / 5, torch.ones(5), 12),
    "mixed": (mixed, torch.ones(5), 12),
}.items():
    results[f"focal/{name}/loss"], results[f"focal/{name}/gradient"] = focal(*args)
np.savez_compressed(DATA + "large_steps.npz", **results)
