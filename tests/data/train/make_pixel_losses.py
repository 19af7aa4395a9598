"""PyTorch's values of the losses of maps (tests/train/tasks/pixel_loss_test.cpp holds what this prints).
Usage: python3 make_pixel_losses.py"""
import torch
import torch.nn.functional as F


def logits(*shape):  # the same numbers as the test makes
    n = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return (((n * 7 + 3) % 11 - 5) * 0.4).reshape(shape).requires_grad_()


def mask(shape, classes):
    n = torch.arange(torch.Size(shape).numel())
    m = (n * 5 + 2) % classes
    m[n % 7 == 3] = 255
    return m.reshape(shape)


def losses(x, m, weights):
    """ce, dice, focal of each sample."""
    classes, out = len(weights), []
    w = torch.tensor(weights, dtype=torch.float64)
    for xi, mi in zip(x, m):
        counts = mi != 255
        t = torch.where(counts, mi, 0)
        if classes == 2:
            ce = F.binary_cross_entropy_with_logits(xi[0], t.double(), reduction="none")
            p, there = torch.sigmoid(xi), (t == 1)[None].double()
        else:
            ce = F.cross_entropy(xi[None], t[None], reduction="none")[0]
            p, there = torch.softmax(xi, 0), F.one_hot(t, classes).permute(2, 0, 1).double()
        weighed = w[t]
        p, there = p * counts, there * counts
        dice = (2 * (p * there).sum((1, 2)) + 1) / (p.sum((1, 2)) + there.sum((1, 2)) + 1)
        focal = (1 - torch.exp(-ce)) ** 2 * ce
        out.append(((ce * weighed * counts).sum() / counts.sum(), 1 - dice.mean(), (focal * weighed * counts).sum() / counts.sum()))
    return [torch.stack(v).mean() for v in zip(*out)]


for classes, weights in ((2, [0.5, 2.0]), (3, [0.5, 2.0, 1.5])):
    x, m = logits(2, 1 if classes == 2 else classes, 3, 4), mask((2, 3, 4), classes)
    for name, value in zip(("ce", "dice", "focal"), losses(x, m, weights)):
        (g,) = torch.autograd.grad(value, x, retain_graph=True)
        print(classes, name, f"{value.item():.9f}", f"{g.flatten()[0].item():.9f}", f"{g.flatten()[5].item():.9f}")
