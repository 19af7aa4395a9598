"""Runs of the graft command that cost little: many_starts.c keeps it loaded and forks it for each."""
import os
import queue
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import threading

from workload import PATIENCE, THREADS, peak_of, run


class Loaded:
    """One process that waits before main. `preload`: another library that goes with it."""
    def __init__(self, graft, library, preload, folder):
        requests, self.requests = os.pipe()
        self.answers, answers = os.pipe()
        self.out, self.err = f"{folder}/out", f"{folder}/err"
        self.environment = {"PATH": os.environ.get("PATH", ""), "GRAFT_THREADS": THREADS}
        with_libraries = {"LD_PRELOAD": ":".join(filter(None, [library, preload])), "MANY_STARTS": f"{requests},{answers}"}
        self.process = subprocess.Popen([graft], env=self.environment | with_libraries, pass_fds=(requests, answers),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        os.close(requests)
        os.close(answers)

    def read(self, form):
        size, data = struct.calcsize(form), b""
        while len(data) < size:
            more = os.read(self.answers, size - len(data))
            if not more:
                raise RuntimeError(f"the loaded command has ended: {self.process.wait()}")
            data += more
        return struct.unpack(form, data)

    def run(self, words, environment, timeout, folder):
        """Code ("hang" past the timeout), stdout, stderr, and the peak of memory in KiB."""
        settings = [f"{name}={value}" for name, value in (self.environment | environment).items()]
        strings = [folder or "", self.out, self.err, str(len(words))] + words + settings
        request = b"".join(os.fsencode(string) + b"\0" for string in strings)
        with open(self.out, "wb"), open(self.err, "wb"):
            pass  # not those of the run before
        os.write(self.requests, struct.pack("=I", len(request)))
        for begin in range(0, len(request), 4096):
            os.write(self.requests, request[begin:begin + 4096])
        child, = self.read("=i")
        hangs = not select.select([self.answers], [], [], timeout)[0]
        if hangs:
            os.killpg(child, signal.SIGKILL)  # what it started, too
        status, peak, _, _ = self.read("=qqqq")
        if hangs:
            return "hang", b"", b"", 0
        with open(self.out, "rb") as out, open(self.err, "rb") as err:
            return os.waitstatus_to_exitcode(status), out.read(), err.read(), peak

    def close(self):
        os.close(self.requests)  # it ends where no more requests can come
        self.process.wait()
        os.close(self.answers)


class Commands:
    """Runs the command from several threads; with `library` (many_starts.c, built) as forks, one loaded command a thread.
    `preload`: a library that every run gets."""
    def __init__(self, graft, library="", preload=""):
        self.graft, self.library, self.preload = graft, library and os.path.abspath(library), preload
        self.folder = tempfile.mkdtemp()
        self.idle, self.all, self.lock = queue.LifoQueue(), [], threading.Lock()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for loaded in self.all:
            loaded.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def loaded(self):
        try:
            return self.idle.get_nowait()
        except queue.Empty:
            with self.lock:
                place = f"{self.folder}/{len(self.all)}"
                os.makedirs(place)
                self.all.append(Loaded(self.graft, self.library, self.preload, place))
                return self.all[-1]

    def run(self, words, environment=None, timeout=60, folder=None):
        """As workload.run; words[0] is the command itself."""
        return self.measured(words, environment, timeout, folder)[:3]

    def measured(self, words, environment=None, timeout=60, folder=None):
        """Code, stdout, stderr, peak memory in KiB (0 where a run was started anew: peak_of)."""
        environment = dict(environment or {})
        if self.preload:
            environment["LD_PRELOAD"] = self.preload
        if not self.library:
            return *run(words, environment, timeout, folder), 0
        loaded = self.loaded()
        answer = loaded.run(words, environment, timeout * PATIENCE, folder)
        self.idle.put(loaded)
        return answer

    def peak_of(self, words, note, timeout=60):
        """As workload.peak_of."""
        if not self.library:
            return peak_of(words, note, timeout)
        code, _, said, peak = self.measured(words, timeout=timeout)
        return code, said, peak
