"""tools/gpu_check.sh: runs the stages one after another and keeps what each says."""
import argparse
import os
import re
import sys
import time

import machine
import stages
import summary

parser = argparse.ArgumentParser(prog="tools/gpu_check.sh")
parser.add_argument("--stage", action="append", choices=list(stages.STAGES), help="only this one (may be given several times)")
parser.add_argument("--dry-run", action="store_true", help="no GPU: go as far as it can, measure nothing")
parser.add_argument("--no-build", action="store_true", help="use the programs of an earlier build")
parser.add_argument("--build", default=os.path.join(machine.ROOT, "build/gpu_check"), help="folder of the build")
parser.add_argument("--budget", type=float, default=525, help="seconds for all stages together")
parser.add_argument("--out", help="file for the JSON lines")
parser.add_argument("--summary", metavar="FILE", help="only print the table of an earlier run")


def main():
    flags = parser.parse_args()
    if flags.summary:
        print(summary.table(summary.read(flags.summary)))
        return 0
    about = machine.describe()
    if not flags.dry_run and not about["gpu"]:
        print(f"no GPU can be used here ({about['no_gpu']}); --dry-run goes as far as it can without one", file=sys.stderr)
        return 4
    name = re.sub("[^a-z0-9]+", "-", (about["gpu"] or "no-gpu").lower()).strip("-")
    folder = "build" if flags.dry_run else "benchmarks/results"
    out = flags.out or os.path.join(machine.ROOT, folder, f"{time.strftime('%Y-%m-%d')}-{'dry-run' if flags.dry_run else name}-gpu_check.jsonl")
    os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
    run = stages.Run(flags, out, about)
    run.emit("environment", **about)
    names = flags.stage or [n for n in stages.STAGES if not (flags.no_build and n == "build")]
    for stage in names:
        run.stage(stage)
    stages.settle(run)
    print("\n" + summary.table(summary.read(out)) + f"\n\n{out}")
    return 0 if all(run.passed.get(n) for n in names) else 1


sys.exit(main())
