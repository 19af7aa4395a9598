"""What a run leaves: some files in a folder while it runs, one tar of them at its end. A file that cannot be written (a full disk) ends
nothing: its text is kept in memory, said on standard output, and the run fails at its end."""
import io
import json
import os
import tarfile
import threading

# At most eight, so that few files have to be carried back; each bounded.
FILES = ("results.jsonl", "report.txt", "contact.txt", "tests.txt", "again.txt", "speed.txt", "profile.txt", "machine.txt")
MOST_BYTES = 15 << 20


class Results:
    def __init__(self, folder):
        self.folder, self.texts, self.sizes, self.lost = folder, {}, {}, {}
        self.lock = threading.Lock()
        try:
            os.makedirs(folder, exist_ok=True)
            for name in FILES:  # of an earlier run that was ended
                if os.path.lexists(self.path(name)) and not os.path.islink(self.path(name)):
                    os.remove(self.path(name))
        except OSError as error:
            self.lost[folder] = str(error)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        """Appends; on the disk when this returns, if the disk takes it."""
        assert name in FILES
        with self.lock:
            size = self.sizes.get(name, 0)
            if size > MOST_BYTES:
                return
            if size + len(text) > MOST_BYTES:
                text = text[: max(0, MOST_BYTES - size)] + "\n... cut here\n"
            self.sizes[name] = size + len(text)
            self.texts.setdefault(name, []).append(text)
            try:
                with open(self.path(name), "a") as file:
                    file.write(text)
            except OSError as error:
                if name not in self.lost:
                    print(f"{self.path(name)} cannot be written: {error}; going on", flush=True)
                self.lost[name] = str(error)

    def emit(self, line):
        self.write("results.jsonl", json.dumps(line) + "\n")

    def say(self, text):
        print(text, flush=True)
        self.write("report.txt", text + "\n")

    def close(self, name):
        """One tar in place of the files. Its path, or None: then the files stay as far as they were written."""
        target = self.path(name)
        try:
            with tarfile.open(target + ".part", "w") as tar:
                for file, parts in self.texts.items():
                    data = "".join(parts).encode()
                    member = tarfile.TarInfo(file)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
            os.replace(target + ".part", target)
        except OSError as error:
            self.lost[name] = str(error)
            print(f"{target} cannot be written: {error}", flush=True)
            if os.path.exists(target + ".part"):
                os.remove(target + ".part")
            return None
        for file in self.texts:
            if os.path.lexists(self.path(file)):
                os.remove(self.path(file))
        return target


def read(path):
    """The lines of an earlier run: its tar, its folder, or its results.jsonl."""
    if os.path.isdir(path):
        path = os.path.join(path, "results.jsonl")
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as tar:
            text = tar.extractfile("results.jsonl").read().decode()
    else:
        with open(path) as file:
            text = file.read()
    return lines_of(text)


def lines_of(text):
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:  # the last one of a run that was ended
            pass
    return lines
