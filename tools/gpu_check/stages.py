"""The stages of tools/gpu_check.sh. Each emits lines of figures and ends in one line {"stage", "status", "seconds"}."""
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import machine

PEERS = os.path.join(machine.ROOT, "benchmarks/peers")


class Failed(Exception):
    """Why a stage did not pass; what it emitted before stands."""


class Run:
    def __init__(run, flags, out, about):
        run.flags, run.out, run.about, run.passed = flags, out, about, {}
        run.began, run.warming = time.time(), []
        run.dry = flags.dry_run
        run.env = dict(machine.environment(about), GRAFT_TEST_DATA=os.path.join(machine.ROOT, "tests/data"))
        run.bin = os.path.join(os.path.abspath(flags.build), "bin")

    def emit(run, stage, /, **fields):
        line = dict(stage=stage, **({"dry_run": True} if run.dry else {}), **fields)
        with open(run.out, "a") as f:
            f.write(json.dumps(line) + "\n")
        return line

    def left(run):
        return min(run.until, run.began + run.flags.budget) - time.time()

    def stage(run, name):
        work, limit = STAGES[name]
        start = time.time()
        run.until = start + limit * (4 if run.dry else 1)
        status, why = "passed", None
        try:
            if run.left() < 5 and not run.dry:
                raise Failed("no time left of --budget")
            why = work(run, name)
        except Failed as failure:
            status, why = "failed", str(failure)
        except Exception as error:  # a fault of this script or a full disk must not end the other stages
            status, why = "failed", f"{type(error).__name__}: {error}"
        seconds = round(time.time() - start, 1)
        run.passed[name] = status == "passed"
        run.emit(name, status=status, seconds=seconds, detail=why)
        print(f"{name}: {status} after {seconds} s{': ' + why if why else ''}", flush=True)

    def program(run, name):
        path = os.path.join(run.bin, name)
        if not os.path.exists(path):
            raise Failed(f"{path} is not there: run the stage build first")
        return path

    def call(run, command, env=None, limit=None, **options):
        status, out, err = machine.call(command, min(limit or 1e9, run.left() if not run.dry else run.until - time.time()), env or run.env, **options)
        return status, out, err


def build(run, stage):
    if not machine.tool("nvcc"):
        raise Failed("no nvcc: carry the programs (tools/gpu_check.sh --pack --programs) and give --no-build")
    folder, deps = run.flags.build, os.path.join(machine.ROOT, "build/deps")
    capability = (run.about["compute_capability"] or "").replace(".", "")
    configure = ["cmake", "--preset", "cuda", "-B", folder, "-DGRAFT_GPU_CHECK=ON"]
    if capability:  # this GPU's code alone; without one all that the preset names
        configure.append(f"-DCMAKE_CUDA_ARCHITECTURES={capability}{'a' if capability == '90' else ''}-real")
    configure += [] if shutil.which("ninja") else ["-G", "Unix Makefiles"]
    configure += [f"-DCMAKE_PREFIX_PATH={deps}"] if os.path.isdir(deps) else []
    if shutil.which("ccache"):
        configure += ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache", "-DCMAKE_CUDA_COMPILER_LAUNCHER=ccache"]
        run.env.update(CCACHE_BASEDIR=machine.ROOT, CCACHE_NOHASHDIR="1")
    for command in (configure, ["cmake", "--build", folder, "--parallel", str(machine.CORES), "--target", "graft_command", "test_gpu", "bench_gpu"]):
        status, out, err = run.call(command)
        if status is None:
            raise Failed(f"{shlex.join(command[:3])} ran out of time")
        if status != 0:
            lines = [l for l in (out + err).splitlines() if re.search("error|Error|not found|Could NOT", l)]
            raise Failed(f"{shlex.join(command[:3])}: " + "; ".join(lines[:6])[:600] + ("" if os.path.isdir(deps) else " (tools/gpu_check.sh --pack gathers what a build needs)"))
    return f"on {machine.CORES} cores, for {'sm_' + capability if capability else 'every GPU of the preset'}"


def suites(run, pattern):
    status, out, err = run.call([run.program("test_gpu"), "--gtest_list_tests", f"--gtest_filter={pattern}"], limit=30)
    if status != 0:
        raise Failed(f"test_gpu does not start: {err.strip()[-300:]}")
    return [line.strip() for line in out.splitlines() if re.fullmatch(r"[A-Za-z]\S*\.", line)]


def run_suite(run, suite, before=(), env=None, minus=""):
    """One suite in a process of its own: a GPU that is lost takes nothing else with it. Returns gtest's report, or what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        status, out, err = run.call([*before, run.program("test_gpu"), f"--gtest_filter={suite}*{minus}", f"--gtest_output=json:{report}"], env=env, cwd=folder)
        found = None
        if os.path.exists(report) and os.path.getsize(report):
            with open(report) as f:
                found = json.load(f)
    return status, found, (out + err)


def cases_of(report):
    for suite in report["testsuites"]:
        for case in suite["testsuite"]:
            yield f"{suite['name']}.{case['name']}", case


def run_tests(run, stage, pattern, minus="", **options):
    """All suites that `pattern` names, some at a time. Emits a line a suite."""
    totals = dict(run=0, failed=0, skipped=0)
    names = suites(run, pattern)
    workers = max(1, min(4, machine.CORES // 2))
    broken, unfinished = [], []
    with concurrent.futures.ThreadPoolExecutor(workers) as threads:
        for suite, (status, report, text) in zip(names, threads.map(lambda s: run_suite(run, s, minus=minus, **options), names)):
            if not report:
                (unfinished if status is None else broken).append(suite)
                run.emit(stage, suite=suite, error="ran out of time" if status is None else f"exit {status}: {text.strip()[-400:]}")
                continue
            cases = list(cases_of(report))
            skipped = [c for _, c in cases if c["result"] == "SKIPPED" or c.get("skipped")]
            failures = {n: c["failures"][0]["failure"][:300] for n, c in cases if c.get("failures")}
            totals["run"] += len(cases) - len(skipped)
            totals["failed"] += len(failures)
            totals["skipped"] += len(skipped)
            run.emit(stage, suite=suite, run=len(cases) - len(skipped), skipped=len(skipped), failures=failures)
            if status not in (0, None) and not failures:
                broken.append(suite)
                run.emit(stage, suite=suite, error=f"exit {status}: {text.strip()[-400:]}")
            for name, case in cases:
                figures = {k: v for k, v in case.items() if k not in GTEST_FIELDS}
                if figures:
                    run.emit(stage, test=name, **figures)
    run.emit(stage, totals=totals, suites=len(names), broken=broken, unfinished=unfinished)
    text = (f"{totals['run']} tests run, {totals['failed']} failed, {totals['skipped']} skipped; of {len(names)} suites {len(broken)} broke, "
            f"{len(unfinished)} ran out of time")
    if totals["failed"] or broken or unfinished or not names or (not run.dry and not totals["run"]):
        raise Failed(text)
    return text


GTEST_FIELDS = {"name", "value_param", "type_param", "file", "line", "status", "result", "timestamp", "time", "classname", "failures", "skipped"}


def warm_up(run):
    """Inference makes cuDNN compile a graph a layer, seconds each: what the measured groups will need is compiled beside the tests, into
    graft's cache on disk."""
    if not run.dry:
        for shape in ("--batch 256", "--batch 1", "--batch 4 --probe --classes 10", "--batch 64 --probe --classes 10"):
            run.warming.append(subprocess.Popen([run.program("graft"), "bench", "--device", "cuda:0", "--precision", "bf16", "--iterations", "1", *shape.split()],
                                                env=run.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


def settle(run):
    """Nothing of this script's own may run beside a measurement."""
    for process in run.warming:
        try:
            process.wait(max(0.1, min(60, run.left() / 2)))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    run.warming.clear()


def tests(run, stage):
    warm_up(run)
    return run_tests(run, stage, "*:-*Parity*")


def parity(run, stage):
    return run_tests(run, stage, "*Parity*")


# racecheck looks at shared memory alone, so suites without any are left to memcheck. cuDNN's kernels are not graft's to check.
CHECKS = {"memcheck": "*:-*Parity*:*BenchRows*:DeviceFit*", "racecheck": "*:-*Parity*:*BenchRows*:DeviceFit*:Unary*:Binary*:Movement*:*ImageInput*:*Geometry*"}


def sanitizer(run, stage):
    program = machine.tool("compute-sanitizer")
    env = dict(run.env, GRAFT_CUDNN_LIBRARY="off")
    said, failures, end = [], [], run.until
    for number, (check, pattern) in enumerate(CHECKS.items()):
        run.until = time.time() + (end - time.time()) / (len(CHECKS) - number)  # an equal share of what is left
        command = [program or "compute-sanitizer", "--tool", check, "--error-exitcode", "9", "--target-processes", "all"]
        if not program or run.dry:
            run.emit(stage, check=check, command=shlex.join(command + ["test_gpu", f"--gtest_filter={pattern}"]), found=program)
            said.append(f"{check} not run: {'no compute-sanitizer here' if not program else 'no GPU'}")
            continue
        try:
            said.append(f"{check}: " + run_tests(run, f"{stage}/{check}", pattern, before=command, env=env))
        except Failed as failure:
            failures.append(f"{check}: {failure}")
    if failures or (not program and not run.dry):
        raise Failed("; ".join(failures + said))
    return "; ".join(said)


def kernels(run, stage):
    """Lines as they come, so that a time limit keeps what was measured."""
    settle(run)
    status, out, err = run.call([run.program("bench_gpu")] + (["--batch", "1", "--rounds", "1"] if run.dry else []))
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{") and line.endswith("}")]
    for line in lines:
        run.emit(stage, **line)
    skipped = [line["skipped"] for line in lines if "skipped" in line]
    if skipped and run.dry:
        return f"SKIPPED: {skipped[0]}"
    errors = sum("error" in line for line in lines)
    if status != 0 or skipped or not lines:
        raise Failed("ran out of time" if status is None else (skipped[0] if skipped else f"exit {status}: {err.strip()[-300:]}"))
    return f"{len(lines)} rows, {errors} with an error"


TORCH = {"torch-eager": "PY worker_torch_cuda.py", "torch-compile": "PY worker_torch_cuda.py --mode compile", "torch-graph": "PY worker_torch_cuda.py --mode graph"}


def peers(run, stage, name, rounds, iterations, common):
    """One group of benchmarks/peers/bench.py: graft and PyTorch in turns."""
    settle(run)
    workers = dict(TORCH, graft="GRAFT")
    if run.dry:  # the CPU, tiny: only that the workers work
        common = re.sub(r"--(model|size|batch) \S+", "", common) + " --model resnet18 --size 32 --batch 2"
        rounds, iterations = 1, 1
        del workers["torch-compile"]
    device = "cpu" if run.dry else "cuda:0"
    if not run.about["torch"] or not (run.dry or run.about["torch_cuda"]):
        run.emit(stage, figure=name, error=f"PyTorch is not beside it: {run.about['torch_missing'] or 'it sees no GPU'}")
        workers = {"graft": "GRAFT"}
    env = dict(run.env, GRAFT=run.program("graft"), PEERS_PY=machine.PYTHON)
    if stage == "train":  # inference's graphs are compiled for seconds each: measuring eight of each is more than a stage has
        env["GRAFT_CUDNN_AUTOTUNE"] = "1"
    if run.dry:
        env["CUDA_VISIBLE_DEVICES"] = ""
    command = [sys.executable, "bench.py", "--name", name, "--rounds", str(rounds), "--iters", str(iterations), "--rest", "0.05", "--foreign", "1", "--together",
               "--ready", str(int(max(20, run.left() * 0.7 if not run.dry else 150))), "--out", os.devnull, "--common", f"--device {device} --threads 0 --dtype bf16 {common}"]
    status, out, err = run.call(command + [f"{label}={worker}" for label, worker in workers.items()], env=env, cwd=PEERS)
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    for line in lines:  # a dry run's times are of a CPU, another network and other sizes: they are left out
        run.emit(stage, **(line if not run.dry else {k: line[k] for k in ("figure", "error", "version") if k in line}))
    if status != 0:
        raise Failed(f"{name}: " + ("ran out of time" if status is None else f"{err.strip()[-300:]}"))
    # A captured step needs a GPU, so a dry run does not ask for it; everything else must have given a figure.
    missing = [line["figure"] for line in lines if "error" in line and not (run.dry and line["figure"].endswith("torch-graph"))]
    if missing:
        raise Failed("no figure of " + ", ".join(missing))
    return name


def groups(*rows):
    def work(run, stage):
        done, failures = [], []
        for row in rows:
            try:
                done.append(peers(run, stage, *row))
            except Failed as failure:
                failures.append(str(failure))
        if failures:
            raise Failed("; ".join(failures))
        return ", ".join(done) + (": the workers work, on the CPU; nothing measured" if run.dry else "")
    return work


# name, rounds, iterations a turn, what the workers do
train = groups(("train/r50/224/b256/bf16", 4, 12, "--task train --model resnet50 --size 224 --batch 256"),
               ("train/r50/224/b64/bf16", 4, 25, "--task train --model resnet50 --size 224 --batch 64"))
infer = groups(("infer/r50/224/b256/bf16", 4, 25, "--task infer --model resnet50 --size 224 --batch 256"),
               ("infer/r50/224/b1/bf16", 5, 300, "--task infer --model resnet50 --size 224 --batch 1"))
frozen = groups(("frozen/r50/224/b4/bf16", 5, 100, "--task probe --model resnet50 --size 224 --batch 4 --classes 10"),
                ("frozen/r50/224/b64/bf16", 4, 40, "--task probe --model resnet50 --size 224 --batch 64 --classes 10"))
tutorial = groups(("tutorial/r50/28/b4/bf16", 5, 100, "--task train --model resnet50 --size 28 --batch 4 --classes 10 --opt adam"))

# In order, each with its limit in seconds; --budget ends all of them.
STAGES = {"build": (build, 240), "tests": (tests, 120), "parity": (parity, 75), "kernels": (kernels, 40), "train": (train, 150), "infer": (infer, 120),
          "frozen": (frozen, 60), "tutorial": (tutorial, 45), "sanitizer": (sanitizer, 120)}
