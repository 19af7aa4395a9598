"""The stages of tools/gpu_check.sh, and which of them each call does."""
import os
import re
import shlex
import shutil

import device_tests
import machine
import speed
from stage import Failed


def build(run, stage):
    if not machine.tool("nvcc"):
        raise Failed("no nvcc: carry the programs (tools/gpu_check.sh --pack)")
    folder, deps = os.path.dirname(run.flags.programs), os.path.join(machine.ROOT, "build/deps")
    capability = (run.about["compute_capability"] or "").replace(".", "")
    configure = ["cmake", "--preset", "cuda", "-B", folder, "-DGRAFT_GPU_CHECK=ON", "-DGRAFT_WERROR=OFF"]
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
            hint = "" if os.path.isdir(deps) else " (tools/gpu_check.sh --pack --sources gathers what a build needs)"
            raise Failed(f"{shlex.join(command[:3])}: " + "; ".join(lines[:6])[:600] + hint)
    return f"on {machine.CORES} cores, for {'sm_' + capability if capability else 'every GPU of the preset'}"


# Each with its limit in seconds; --budget ends all of them.
STAGES = {"build": (build, 240), "contact": (device_tests.contact, 100), "tests": (device_tests.tests, 90), "again": (device_tests.again, 40),
          "parity": (device_tests.parity, 45), "speed": (speed.own, 75), "kernels": (speed.kernels, 25), "peers": (speed.peers, 45),
          "shapes": (speed.shapes, 90), "profile": (speed.profile, 60), "sanitizer": (device_tests.sanitizer, 60), "wgmma": (device_tests.wgmma, 45)}
CALLS = {None: [s for s in STAGES if s != "build"],
         1: ["contact", "tests", "again", "parity", "speed", "kernels", "peers", "wgmma"],
         2: ["contact", "again", "speed", "shapes", "profile", "peers", "sanitizer", "wgmma"]}
LIMITS_OF_CALL_2 = {"contact": 40, "again": 60, "peers": 110, "wgmma": 30}


def after(run, lines):
    """What of an earlier call is done again: questions without a yes, failed tests, figures that are not there."""
    asked = [line for line in lines if line.get("stage") == "contact" and "question" in line]
    run.only["contact"] = {line["test"] for line in asked if line["answer"] != "yes"} if asked else None
    if not asked:
        del run.only["contact"]
    run.answers = {line["test"]: line["answer"] for line in asked}
    failed = []
    for line in lines:
        failed += list(line.get("failures", {}))
        if line.get("stage") in ("tests", "parity") and "error" in line and "test" in line:
            failed.append(line["test"])
        failed += [line["suite"] + test for test in line.get("not_run", [])]
    run.only["again"] = list(dict.fromkeys(failed))
    there = {line["figure"].removesuffix("/graft") for line in lines if line.get("stage") == "speed" and "ms" in line}
    run.only["speed"] = [row[0] for row in speed.GROUPS if row[0] not in there]
