"""The lines of tools/gpu_check.sh beside the targets of docs/cuda.md: pass, falls short, or not measured."""
import json


def read(path):
    with open(path) as lines:
        return [json.loads(line) for line in lines if line.startswith("{")]


def figure(lines, name, field):
    """The latest value of a field in a group's line."""
    return next((line[field] for line in reversed(lines) if line.get("figure") == name and line.get(field) is not None), None)


def stage_counts(lines, stage):
    return next((line["totals"] | {"broken": len(line["broken"])} for line in reversed(lines) if line["stage"] == stage and "totals" in line), None)


def faults(lines, stage):
    """Failed tests and suites that broke, of those that ran on the device; None when none ran."""
    found = stage_counts(lines, stage)
    return found["failed"] + found["broken"] if found and (found["run"] or found["broken"]) else None


def worst(lines, key):
    """The largest of a property that parity tests record ("logits_fp32")."""
    values = [float(line[key]) for line in lines if line["stage"] == "parity" and key in line]
    return max(values) if values else None


def slowest_kernel(lines):
    """The smallest share of copy speed among kernels whose tensors do not fit into the L2 cache."""
    rows = {line["kernel"]: line["share_of_copy"] for line in lines if line["stage"] == "kernels" and "share_of_copy" in line and not line.get("fits_l2")}
    return min(rows.items(), key=lambda row: row[1]) if rows else None


B256 = "train/r50/224/b256/bf16/"


def targets(lines):
    """(what, target, value or None, whether it is reached, text of the value)."""
    kernel = slowest_kernel(lines)
    shown = lambda v, unit="": None if v is None else f"{v:.4g}{unit}"
    at_least = lambda what, goal, v, unit="": (what, f"at least {goal:g}{unit}", v, v is not None and v >= goal, shown(v, unit))
    at_most = lambda what, goal, v, unit="": (what, f"at most {goal:g}{unit}", v, v is not None and v <= goal, shown(v, unit))
    return [
        at_most("failed tests of the kernels on the device", 0, faults(lines, "tests")),
        at_most("faults under memcheck", 0, faults(lines, "sanitizer/memcheck")),
        at_most("faults under racecheck", 0, faults(lines, "sanitizer/racecheck")),
        at_most("logits beside the CPU's, fp32", 1e-4, worst(lines, "logits_fp32")),
        at_most("logits, bf16", 1.6e-2, worst(lines, "logits_bf16")),
        at_most("gradients of one step, fp32", 1e-3, worst(lines, "gradients_fp32")),
        at_most("gradients, bf16", 3e-2, worst(lines, "gradients_bf16")),
        at_most("loss of 20 steps with a frozen backbone", 1e-3, worst(lines, "frozen_loss")),
        at_least("ResNet-50 training, bf16, batch 256", 4000, figure(lines, B256 + "graft", "img_s"), " img/s"),
        at_least("the same beside PyTorch eager", 1.0, ratio(lines, B256, "torch-eager"), " x"),
        at_least("ResNet-50 inference, bf16, batch 256", 20000, figure(lines, "infer/r50/224/b256/bf16/graft", "img_s"), " img/s"),
        at_most("ResNet-50 inference, bf16, batch 1, median", 0.60, figure(lines, "infer/r50/224/b1/bf16/graft", "ms"), " ms"),
        at_most("frozen fine-tune step, bf16, batch 4", 2.5, figure(lines, "frozen/r50/224/b4/bf16/graft", "ms"), " ms"),
        at_least("slowest memory-bound kernel, of copy speed", 0.70, kernel[1] if kernel else None) if not kernel else
        ("slowest memory-bound kernel, of copy speed", "at least 0.7", kernel[1], kernel[1] >= 0.70, f"{kernel[1]:.3g} ({kernel[0]})"),
    ]


def ratio(lines, group, peer):
    mine, other = figure(lines, group + "graft", "ms"), figure(lines, group + peer, "ms")
    return other / mine if mine and other else None


def beside(lines):
    """graft's speed as a multiple of each way of PyTorch, for every group that has both."""
    names = sorted({line["figure"].rsplit("/", 1)[0] for line in lines if "figure" in line and "ms" in line})
    rows = []
    for name in names:
        mine = figure(lines, name + "/graft", "ms")
        peers = [(p, ratio(lines, name + "/", p)) for p in ("torch-eager", "torch-compile", "torch-graph")]
        if mine:
            rows.append(f"| {name} | {mine:.4g} | " + " | ".join("-" if r is None else f"{r:.3g}" for _, r in peers) + " |")
    return rows


def table(lines):
    dry = any(line.get("dry_run") for line in lines)
    lines = [] if dry else lines  # a dry run's figures are no GPU's
    rows = ["| what | target | measured | |", "|---|--:|--:|---|"]
    for what, target, value, reached, text in targets(lines):
        verdict = "not measured" if value is None else "pass" if reached else "falls short"
        rows.append(f"| {what} | {target} | {text or '-'} | {verdict} |")
    if dry:
        rows.append("\nA dry run: no GPU was used and nothing was measured.")
    times = beside(lines)
    if times:
        rows += ["", "| group | graft, ms | times torch-eager | torch-compile | torch-graph |", "|---|--:|--:|--:|--:|"] + times
    return "\n".join(rows)
