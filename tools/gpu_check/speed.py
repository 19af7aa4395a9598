"""Stages that measure. graft first and alone, each figure printed and written as it comes, with the names of the libraries that it ran on;
then the same of PyTorch."""
import json
import os
import re
import sys

import machine
from stage import Failed

PEERS = os.path.join(machine.ROOT, "benchmarks/peers")
TORCH = {"torch-eager": "PY worker_torch_cuda.py", "torch-compile": "PY worker_torch_cuda.py --mode compile", "torch-graph": "PY worker_torch_cuda.py --mode graph"}
PEERS_OF = {"none": [], "eager": ["torch-eager"], "all": list(TORCH)}
# name, rounds, iterations a turn, what the workers do; the most wanted first
GROUPS = (("train/r50/224/b256/bf16", 4, 12, "--task train --model resnet50 --size 224 --batch 256"),
          ("infer/r50/224/b256/bf16", 4, 25, "--task infer --model resnet50 --size 224 --batch 256"),
          ("infer/r50/224/b1/bf16", 5, 300, "--task infer --model resnet50 --size 224 --batch 1"),
          ("frozen/r50/224/b4/bf16", 5, 100, "--task probe --model resnet50 --size 224 --batch 4 --classes 10"),
          ("train/r50/224/b64/bf16", 4, 25, "--task train --model resnet50 --size 224 --batch 64"),
          ("tutorial/r50/28/b4/bf16", 5, 100, "--task train --model resnet50 --size 28 --batch 4 --classes 10 --opt adam"),
          ("frozen/r50/224/b64/bf16", 4, 40, "--task probe --model resnet50 --size 224 --batch 64 --classes 10"))


def json_lines(run, stage, command, seconds, env=None, cwd=machine.ROOT, show=lambda line: None, keep=lambda line: line):
    """Runs a program that prints a JSON line a figure; each is written and shown as it comes. Returns (exit status, lines, errors)."""
    lines, errors = [], []
    if run.libraries["text"] == "not asked":
        run.libraries = machine.libraries(run.program("graft"), run.env)

    def one(text, is_error):
        if is_error or not (text.startswith("{") and text.endswith("}")):
            errors.append(text)
            return
        try:
            line = keep(json.loads(text))
        except ValueError:
            errors.append(text)
            return
        lines.append(line)
        run.emit(stage, **line, libraries={k: run.libraries[k] for k in ("cudnn", "cublaslt")})
        if text := show(line):
            run.say("  " + text)
    status = run.stream(command, seconds, one, env, cwd=cwd)
    run.results.write("speed.txt", "".join(f"{text}\n" for text in errors))
    return status, lines, " | ".join(errors)[-300:]


def shown(line):
    if "ms" in line:
        return f"{line['figure']}: {line['ms']} ms, {line['img_s']} images a second"
    return f"{line['figure']}: {line['error']}" if "error" in line else None


def group(run, stage, row, workers, autotune):
    """One group of benchmarks/peers/bench.py by one set of workers."""
    name, rounds, iterations, common = row
    if run.dry:  # the CPU, tiny: only that the workers work
        common = re.sub(r"--(model|size|batch) \S+", "", common) + " --model resnet18 --size 32 --batch 2"
        rounds, iterations = 1, 1
    env = dict(run.env, GRAFT=run.program("graft"), PEERS_PY=machine.PYTHON)
    if autotune and name.startswith("train"):  # inference's graphs are compiled for seconds each: eight of each are more than a call has
        env["GRAFT_CUDNN_AUTOTUNE"] = "1"
    if run.dry:
        env["CUDA_VISIBLE_DEVICES"] = ""
    ready = max(20, run.left() * 0.7 if not run.dry else 150)
    command = [sys.executable, "bench.py", "--name", name, "--rounds", str(rounds), "--iters", str(iterations), "--rest", "0.05", "--foreign", "1",
               "--together", "--ready", str(int(ready)), "--out", os.devnull, "--common",
               f"--device {'cpu' if run.dry else 'cuda:0'} --threads 0 --dtype bf16 {common}"]
    command += [f"{label}={worker}" for label, worker in workers.items()]
    # a dry run's times are of a CPU, another network and other sizes: they are left out
    keep = lambda line: line if not run.dry else {k: line[k] for k in ("figure", "error", "version") if k in line}
    seconds = 200 if run.dry else 60 if "torch-compile" not in workers else None  # compiling takes a minute
    status, lines, errors = json_lines(run, stage, command, seconds, env, PEERS, shown, keep)
    missing = [line["figure"] for line in lines if "error" in line and not (run.dry and line["figure"].endswith("torch-graph"))]
    if missing:
        raise Failed("no figure of " + ", ".join(missing))
    if status != 0:
        raise Failed(f"{name}: " + ("ran out of time" if status is None else errors))


def groups(run, stage, workers, rows, autotune):
    done, failures = [], []
    for row in rows:
        if run.left() < 4 and not run.dry:
            failures.append(f"no time left for {row[0]}")
            run.emit(stage, figure=row[0], error="no time left")
            continue
        try:
            group(run, stage, row, workers, autotune)
            done.append(row[0])
        except Failed as failure:
            failures.append(str(failure))
    if failures:
        raise Failed("; ".join(failures))
    return ", ".join(done) + (": the workers work, on the CPU; nothing measured" if run.dry else "")


def own(run, stage):
    run.settle()
    wanted = run.only.get(stage)
    rows = [row for row in GROUPS if wanted is None or row[0] in wanted]
    return groups(run, stage, {"graft": "GRAFT"}, rows, autotune=True) if rows else "every figure was there"


def peers(run, stage):
    names = list(PEERS_OF[run.flags.peers])
    if run.dry and "torch-compile" in names:
        names.remove("torch-compile")
    if not names:
        return "not asked for (--peers)"
    if not run.about["torch"] or not (run.dry or run.about["torch_cuda"]):
        raise Failed(f"PyTorch is not beside it: {run.about['torch_missing'] or 'it sees no GPU'}")
    run.settle()
    if run.about["torch_cuda"] and not run.dry:
        run.say(f"  torch {run.about['torch']}; each alone, after graft, not in turns with it")
    said = []
    for name in names:
        rows = GROUPS if name == "torch-eager" else GROUPS[:4]
        said.append(groups(run, stage, {name: TORCH[name]}, rows, autotune=False))
    return "; ".join(said)


def bench_gpu(run, stage, arguments, env=None):
    dry = ["--batch", "1", "--rounds", "1"] if run.dry else []
    show = lambda l: f"{l.get('kernel')}: " + (f"{l['error'][:100]}" if "error" in l else
                                              f"{l.get('share_of_copy', 0):.2f} of copy" if "share_of_copy" in l else
                                              f"{l['tflop_s']:.0f} TFLOP/s" if "tflop_s" in l else f"{l['gb_s']:.0f} GB/s" if "gb_s" in l else "")
    status, lines, errors = json_lines(run, stage, [run.program("bench_gpu"), *arguments, *dry], None, env, show=show)
    skipped = [line["skipped"] for line in lines if "skipped" in line]
    if skipped and run.dry:
        return f"SKIPPED: {skipped[0]}"
    if status != 0 or skipped or not lines:
        raise Failed(f"after {len(lines)} rows: " + ("ran out of time" if status is None else skipped[0] if skipped else f"exit {status}: {errors}"))
    return f"{len(lines)} rows, {sum('error' in line for line in lines)} with an error"


def kernels(run, stage):
    run.settle()
    return bench_gpu(run, stage, ["--rows", "memory"])


def shapes(run, stage):
    """Every convolution of ResNet-50, three passes: cuDNN's first engine, graft's kernels, then cuDNN's fastest of eight."""
    run.settle()
    first = bench_gpu(run, stage, ["--rows", "convolutions", "--rounds", "3"])
    tuned = bench_gpu(run, stage + "/autotuned", ["--rows", "convolutions", "--rounds", "3", "--only", "cudnn"], dict(run.env, GRAFT_CUDNN_AUTOTUNE="1"))
    return f"first: {first}; autotuned: {tuned}"


def profile(run, stage):
    """A step with waits after each kernel, and Nsight Compute's times where it is."""
    run.settle()
    size = ["--model", "resnet18", "--image-size", "32", "--batch", "2"] if run.dry else ["--precision", "bf16", "--batch", "256", "--device", "cuda:0"]
    step = [run.program("graft"), "bench", "--train", *size]
    lines = []

    def line(text, is_error):
        lines.append(text)
        run.results.write("profile.txt", text + "\n")
    status = run.stream([*step, "--iterations", "2", "--profile"], 45 if not run.dry else 120, line, dict(run.env, GRAFT_CUDA_WAIT="1"))
    if status != 0:
        raise Failed("graft bench --profile " + ("ran out of time" if status is None else f"exit {status}: {' '.join(lines)[-300:]}"))
    ncu, rows = machine.tool("ncu"), 0
    if ncu and not run.dry:
        before = len(lines)
        run.stream([ncu, "--csv", "--metrics", "gpu__time_duration.sum,dram__bytes.sum", "--launch-count", "400", *step, "--iterations", "1", "--no-graph"], 60, line)
        rows = len(lines) - before
    return f"{len(lines)} lines in profile.txt" + (f", {rows} of ncu" if ncu else "; there is no ncu")
