"""A run of stages: each under its own limit in seconds and all of them under the call's; each line is printed and written at once."""
import os
import subprocess
import time

import machine
from results import Results


class Failed(Exception):
    """Why a stage did not pass; what it emitted before stands."""


class Run:
    def __init__(self, flags, about, began):
        self.flags, self.about, self.passed = flags, about, {}
        self.results = Results(flags.out)
        self.began, self.until, self.warming = began, began + flags.budget, []
        self.dry = flags.dry_run
        self.env = dict(machine.environment(about), GRAFT_TEST_DATA=os.path.join(machine.ROOT, "tests/data"))
        self.only = {}  # what of an earlier call is done again, by stage
        self.failures, self.answers, self.gone = [], {}, None
        self.libraries = dict(cudnn=None, cublaslt=None, text="not asked")

    def emit(self, stage, /, **fields):
        line = dict(stage=stage, **({"dry_run": True} if self.dry else {}), **fields)
        self.results.emit(line)
        return line

    def say(self, text):
        self.results.say(text)

    def left(self):
        return min(self.until, self.began + self.flags.budget) - time.time()

    def stage(self, name, work, limit):
        start = time.time()
        self.until = start + limit * (4 if self.dry else 1)
        status, why = "passed", None
        self.say(f"-- {name}")
        try:
            if self.gone:
                raise Failed(f"left out: {self.gone}")
            if self.left() < 5 and not self.dry:
                raise Failed("no time left of --budget")
            why = work(self, name)
        except Failed as failure:
            status, why = "failed", str(failure)
        except Exception as error:  # a fault of this script must not end the other stages
            status, why = "failed", f"{type(error).__name__}: {error}"
        seconds = round(time.time() - start, 1)
        self.passed[name] = status == "passed"
        self.emit(name, status=status, seconds=seconds, detail=why)
        self.say(f"{name}: {status} after {seconds} s{': ' + why if why else ''}")

    def program(self, name):
        path = os.path.join(self.flags.programs, name)
        if not os.path.exists(path):
            raise Failed(f"{path} is not there: carry the programs (tools/gpu_check.sh --pack) or give --build")
        return path

    def limit(self, seconds):
        return min(seconds or 1e9, self.left() if not self.dry else self.until - time.time())

    def call(self, command, env=None, limit=None, **options):
        return machine.call(command, self.limit(limit), env or self.env, **options)

    def stream(self, command, limit, on_line, env=None, **options):
        return machine.stream(command, self.limit(limit), on_line, env or self.env, **options)

    def warm_up(self):
        """Inference makes cuDNN compile a graph a layer, seconds each: what the measured groups will need is compiled beside the tests, into
        graft's cache on disk."""
        if self.dry or self.warming:
            return
        for shape in ("--batch 256", "--batch 1", "--batch 4 --probe --classes 10", "--batch 64 --probe --classes 10"):
            command = [self.program("graft"), "bench", "--device", "cuda:0", "--precision", "bf16", "--iterations", "1", *shape.split()]
            self.warming.append(subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                                 stderr=subprocess.DEVNULL))

    def settle(self, seconds=60):
        """Nothing of this script's own may run beside a measurement."""
        end = time.time() + max(0.1, min(seconds, self.left() / 2))
        for process in self.warming:
            try:
                process.wait(max(0.1, end - time.time()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.warming.clear()
