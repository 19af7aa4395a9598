"""What stands on this machine: the GPU, the toolkit, PyTorch, cuDNN; and how to call programs under a time limit."""
import glob
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTHON = os.environ.get("PEERS_PY", sys.executable)
CORES = len(os.sched_getaffinity(0))


def call(command, limit=20, env=None, cwd=ROOT):
    """Runs a command and everything below it for at most `limit` seconds. Returns (exit status or None when it ran out of time, output,
    errors)."""
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", cwd=cwd, env=env,
                                   start_new_session=True)
    except OSError as error:
        return 127, "", str(error)
    try:
        out, err = process.communicate(timeout=max(1, limit))
        return process.returncode, out, err
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return None, out, err


def stream(command, limit, on_line, env=None, cwd=ROOT):
    """Runs a command and everything below it for at most `limit` seconds and calls on_line(text, is_error) for each line as it comes.
    Returns its exit status, or None when it ran out of time."""
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=cwd, env=env,
                                   start_new_session=True)
    except OSError as error:
        on_line(str(error), True)
        return 127
    deadline = time.time() + max(1, limit)
    rest = {process.stdout: b"", process.stderr: b""}
    with selectors.DefaultSelector() as waiting:
        for pipe in rest:
            waiting.register(pipe, selectors.EVENT_READ)
        while waiting.get_map() and time.time() < deadline:
            for key, _ in waiting.select(min(0.2, max(0.01, deadline - time.time()))):
                data = os.read(key.fileobj.fileno(), 65536)
                if not data:
                    waiting.unregister(key.fileobj)
                *lines, rest[key.fileobj] = (rest[key.fileobj] + data).split(b"\n")
                for line in lines:
                    on_line(line.decode(errors="replace"), key.fileobj is process.stderr)
            if process.poll() is not None:  # something that it left behind may hold the pipes
                deadline = min(deadline, time.time() + 1)
    ended = process.poll()
    if ended is None:
        try:
            ended = process.wait(max(0.01, deadline - time.time()))
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    for pipe, text in rest.items():
        if text:
            on_line(text.decode(errors="replace"), pipe is process.stderr)
        pipe.close()
    if ended is None:
        try:  # a process that waits in the driver may not even die
            process.wait(5)
        except subprocess.TimeoutExpired:
            pass
    return ended


def first_line(command):
    status, out, _ = call(command)
    return out.strip().splitlines()[0] if status == 0 and out.strip() else None


def tool(name):
    """A program of the CUDA toolkit, or None."""
    return shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/local/cuda*/bin/{name}") + glob.glob(f"/usr/local/cuda*/compute-sanitizer/{name}"))), None)


ASK_TORCH = """
import json, os
found = {}
try:
    import torch
    found = dict(torch=torch.__version__, torch_cuda=torch.cuda.is_available())
    if found["torch_cuda"]:
        found["gpu"] = [torch.cuda.get_device_name(0), "%d.%d" % torch.cuda.get_device_capability(0), None, "%d MiB" % (torch.cuda.get_device_properties(0).total_memory >> 20)]
    import nvidia
    found["nvidia"] = list(nvidia.__path__)
except ImportError as error:
    found["missing"] = str(error)
print(json.dumps(found))
"""


def torch_there():
    status, out, err = call([PYTHON, "-c", ASK_TORCH], 90)
    return json.loads(out.splitlines()[-1]) if status == 0 and out.strip() else {"missing": (err or "no answer").strip()[-200:]}


def environment(torch):
    """Where the loader finds no cuDNN, the one that came with PyTorch, and its neighbours."""
    env = dict(os.environ)
    found = torch.get("nvidia", [])
    if not os.environ.get("GRAFT_CUDNN_LIBRARY") and "libcudnn.so.9" not in call(["ldconfig", "-p"])[1] and found:
        libraries = [f for place in found for f in glob.glob(os.path.join(place, "*/lib"))]
        env["LD_LIBRARY_PATH"] = ":".join(libraries + [env["LD_LIBRARY_PATH"]] * ("LD_LIBRARY_PATH" in env))
    nvcc = tool("nvcc")
    if nvcc:
        env["PATH"] = os.path.dirname(nvcc) + ":" + env["PATH"]
    return env


def describe():
    """The machine as fields of the first line."""
    smi = shutil.which("nvidia-smi") or "/usr/local/nvidia/bin/nvidia-smi"
    status, out, err = call([smi, "--query-gpu=name,compute_cap,driver_version,memory.total", "--format=csv,noheader"])
    torch = torch_there()
    gpu = [f.strip() for f in out.splitlines()[0].split(",")] if status == 0 and out.strip() else torch.get("gpu")
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    nvcc = tool("nvcc")
    release = next((w for w in (call([nvcc, "--version"])[1] if nvcc else "").split() if w.startswith("V1")), None)
    return dict(gpu=gpu[0] if gpu else None, no_gpu=None if gpu else "there is no nvidia-smi" if status == 127 else (err or out or "nvidia-smi lists none").strip()[:200], compute_capability=gpu[1] if gpu else None,
                driver=gpu[2] if gpu else None, gpu_memory=gpu[3] if gpu else None, nvcc=release, torch=torch.get("torch"), torch_cuda=torch.get("torch_cuda"),
                torch_missing=torch.get("missing"), nvidia=torch.get("nvidia", []), cpu=cpu, cores=CORES, commit=first_line(["git", "rev-parse", "--short", "HEAD"]),
                changed=bool(call(["git", "status", "--porcelain"])[1].strip()))


def libraries(program, env):
    """{"cudnn": version or None, "cublaslt": version or None, "text": graft doctor's line of the CUDA backend}."""
    status, out, err = call([program, "doctor"], 20, env)
    line = next((line for line in out.splitlines() if line.startswith("cuda")), "")
    found = lambda name: (m := re.search(name + r" (\d+\.[\d.]*\d)", line)) and m[1]
    why = "ran out of time" if status is None else f"exit {status}: {err.strip()[-200:]}" if status else "it has no line of cuda"
    return dict(cudnn=found("cuDNN"), cublaslt=found("cuBLASLt"), text=line or f"graft doctor: {why}")
