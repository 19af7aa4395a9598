"""The lines of tools/gpu_check.sh beside the targets of docs/cuda.md: pass, falls short, or not measured."""

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
    """(what, target, aim or None, value or None, whether the target is reached, text of the value)."""
    kernel = slowest_kernel(lines)
    shown = lambda v, unit="": None if v is None else f"{v:.4g}{unit}"
    at_least = lambda what, goal, aim, v, unit="": (what, f"at least {goal:g}{unit}", aim and f"{aim:g}", v, v is not None and v >= goal, shown(v, unit))
    at_most = lambda what, goal, aim, v, unit="": (what, f"at most {goal:g}{unit}", aim and f"{aim:g}", v, v is not None and v <= goal, shown(v, unit))
    share = at_least("slowest memory-bound kernel, of copy speed", 0.85, 0.92, kernel[1] if kernel else None)
    return [
        at_most("failed tests of the kernels on the device", 0, None, faults(lines, "tests")),
        at_most("faults under memcheck", 0, None, faults(lines, "sanitizer/memcheck")),
        at_most("faults under racecheck", 0, None, faults(lines, "sanitizer/racecheck")),
        at_most("logits beside the CPU's, fp32", 1e-4, None, worst(lines, "logits_fp32")),
        at_most("logits, bf16", 1.6e-2, None, worst(lines, "logits_bf16")),
        at_most("gradients of one step, fp32", 1e-3, None, worst(lines, "gradients_fp32")),
        at_most("gradients, bf16", 3e-2, None, worst(lines, "gradients_bf16")),
        at_most("loss of 20 steps with a frozen backbone", 1e-3, None, worst(lines, "frozen_loss")),
        at_least("ResNet-50 training, bf16, batch 256", 6500, 8500, figure(lines, B256 + "graft", "img_s"), " img/s"),
        at_least("the same beside PyTorch eager", 1.0, 1.3, ratio(lines, B256, "torch-eager"), " x"),
        at_least("ResNet-50 inference, bf16, batch 256", 30000, 42000, figure(lines, "infer/r50/224/b256/bf16/graft", "img_s"), " img/s"),
        at_most("ResNet-50 inference, bf16, batch 1, median", 0.35, 0.22, figure(lines, "infer/r50/224/b1/bf16/graft", "ms"), " ms"),
        at_most("frozen fine-tune step, bf16, batch 4", 2.5, 0.8, figure(lines, "frozen/r50/224/b4/bf16/graft", "ms"), " ms"),
        share[:5] + (share[5] and f"{share[5]} ({kernel[0]})",),
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


def answers(lines):
    """The latest answer to each question of the first contact."""
    found = {line["question"]: line for line in lines if line["stage"] == "contact" and "question" in line}
    named = next((line["libraries"] for line in reversed(lines) if line["stage"] == "contact" and "libraries" in line), None)
    if not found or not named:
        return []
    rows = [f"| cuDNN | {named['cudnn'] or 'NOT FOUND'} | |", f"| cuBLASLt | {named['cublaslt'] or 'NOT FOUND'} | |"]
    rows += [f"| {question} | {line['answer']} | {line['detail'][:120].replace('|', '/')} |" for question, line in found.items()]
    return ["| first contact | answer | |", "|---|---|---|", *rows, ""]


def table(lines):
    dry = any(line.get("dry_run") for line in lines)
    rows = [] if dry else answers(lines)
    lines = [] if dry else lines  # a dry run's figures are no GPU's
    rows += ["| what | target | aim | measured | |", "|---|--:|--:|--:|---|"]
    for what, target, aim, value, reached, text in targets(lines):
        verdict = "not measured" if value is None else "pass" if reached else "falls short"
        rows.append(f"| {what} | {target} | {aim or '-'} | {text or '-'} | {verdict} |")
    if dry:
        rows.append("\nA dry run: no GPU was used and nothing was measured.")
    times = beside(lines)
    if times:
        rows += ["", "| group | graft, ms | times torch-eager | torch-compile | torch-graph |", "|---|--:|--:|--:|--:|"] + times
    return "\n".join(rows)
