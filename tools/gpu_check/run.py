"""tools/gpu_check.sh: runs the stages one after another and keeps what each says."""
import argparse
import os
import sys
import tarfile
import time

import machine
import results
import stages
import summary
from stage import Run

PACK = os.path.join(machine.ROOT, "build/graft-gpu-check.tar.xz")
parser = argparse.ArgumentParser(prog="tools/gpu_check.sh")
parser.add_argument("--call", type=int, choices=[1, 2], help="the first or the second half; without it all stages")
parser.add_argument("--after", metavar="TAR", help="with --call 2: what the first call left; what failed there is asked again")
parser.add_argument("--stage", action="append", choices=list(stages.STAGES), help="only this one (may be given several times)")
parser.add_argument("--peers", choices=["none", "eager", "all"], help="ways of PyTorch to measure (call 1: eager, else all)")
parser.add_argument("--build", action="store_true", help="build the programs here first")
parser.add_argument("--programs", default=os.path.join(machine.ROOT, "build/gpu_check/bin"), help="folder of test_gpu, bench_gpu and graft")
parser.add_argument("--out", default=os.path.join(machine.ROOT, "build/gpu_check_results"), help="folder for what the run leaves")
parser.add_argument("--budget", type=float, help="seconds for all stages together (330 for a call, else 800)")
parser.add_argument("--dry-run", action="store_true", help="no GPU: go as far as it can, measure nothing")
parser.add_argument("--summary", metavar="FILE", help="only print the table of an earlier run")


def unpack(programs):
    """The programs that were carried here, unless newer ones are there."""
    marker = os.path.join(programs, "test_gpu")
    if not os.path.exists(PACK) or (os.path.exists(marker) and os.path.getmtime(marker) >= os.path.getmtime(PACK)):
        return
    os.makedirs(programs, exist_ok=True)
    with tarfile.open(PACK, "r:xz") as tar:
        for member in tar:
            folder, name = os.path.split(member.name)
            if folder.endswith("build/gpu_check/bin") and member.isfile():
                path = os.path.join(programs, name)
                with open(path, "wb") as file:
                    file.write(tar.extractfile(member).read())
                os.chmod(path, 0o755)


def packed_commit(programs):
    path = os.path.join(programs, "commit.txt")
    if os.path.exists(path):
        with open(path) as file:
            return file.read().strip()
    return None


def main(arguments=None):
    began = time.time()
    flags = parser.parse_args(arguments)
    if flags.summary:
        print(summary.table(results.read(flags.summary)))
        return 0
    if flags.after and flags.call != 2:
        parser.error("--after goes with --call 2")
    flags.programs, flags.out = os.path.abspath(flags.programs), os.path.abspath(flags.out)
    flags.peers = flags.peers or ("eager" if flags.call == 1 else "all")
    flags.budget = (flags.budget or (330 if flags.call else 800)) + (stages.STAGES["build"][1] if flags.build else 0)
    earlier = results.read(flags.after) if flags.after else None
    about = machine.describe()
    if not flags.dry_run and not about["gpu"]:
        print(f"no GPU can be used here ({about['no_gpu']}); --dry-run goes as far as it can without one", file=sys.stderr)
        return 4
    run = Run(flags, about, began)
    try:
        unpack(flags.programs)
    except (OSError, tarfile.TarError, EOFError) as error:
        run.say(f"{PACK} cannot be unpacked: {error}")
    about["programs"] = packed_commit(flags.programs)
    run.emit("environment", **about)
    run.say(f"{about['gpu'] or 'no GPU'}, driver {about['driver']}, programs of {about['programs'] or about['commit'] or 'an unknown commit'}")
    run.results.write("machine.txt", machine.call(["nvidia-smi", "-q"], 10)[1])
    if earlier is not None:
        stages.after(run, earlier)
    names = flags.stage or ((["build"] if flags.build else []) + stages.CALLS[flags.call])
    for name in names:
        work, limit = stages.STAGES[name]
        run.stage(name, work, stages.LIMITS_OF_CALL_2.get(name, limit) if flags.call == 2 else limit)
    run.settle(1)
    lines = (earlier or []) + results.lines_of("".join(run.results.texts["results.jsonl"]))
    run.say("\n" + summary.table(lines))
    left = run.results.close(f"call{flags.call}.tar" if flags.call else "all.tar")
    if run.results.lost:
        print("not everything could be written: " + "; ".join(f"{name}: {why}" for name, why in run.results.lost.items()))
    print(left or f"what could be written is in {flags.out}")
    return 0 if all(run.passed.get(name) for name in names) and not run.results.lost else 1


if __name__ == "__main__":
    sys.exit(main())
