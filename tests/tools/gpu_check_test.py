"""tools/gpu_check without a GPU and without a build: stages on programs that only pretend, and the table of targets."""
import argparse
import json
import os
import stat
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools/gpu_check"))
import stages
import summary

# Suites: one passes and records a figure, one fails, one dies, one hangs.
TEST_GPU = """#!/usr/bin/env python3
import json, os, sys, time
flags = dict(a.split("=", 1) for a in sys.argv[1:] if "=" in a)
if "--gtest_list_tests" in sys.argv:
    print("Good.\\n  One\\nBad/Cases.\\n  Two/a  # GetParam()\\nDead.\\n  Three\\nSlow.\\n  Four" if "Parity" not in flags["--gtest_filter"] or "-" in flags["--gtest_filter"] else "NetParity.\\n  Logits")
    sys.exit(0)
suite = flags["--gtest_filter"].split(".")[0]
if suite == "Dead": os.kill(os.getpid(), 11)
if suite == "Slow": time.sleep(60)
case = dict(name="case", result="COMPLETED", file="x.cpp", line=1)
if suite == "NetParity": case["logits_fp32"] = "3e-06"
if suite.startswith("Bad"): case["failures"] = [{"failure": "2 is not 3"}]
json.dump({"testsuites": [{"name": suite, "testsuite": [case]}]}, open(flags["--gtest_output"].split(":", 1)[1], "w"))
sys.exit("failures" in case)
"""
BENCH_GPU = """#!/bin/sh
echo '{"kernel": "copy", "gb_s": 4000}'
echo '{"kernel": "relu", "share_of_copy": 0.9, "fits_l2": false}'
echo '{"kernel": "add", "error": "out of memory"}'
"""


class Stages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.mkdir(os.path.join(self.folder, "bin"))
        for name, text in (("test_gpu", TEST_GPU), ("bench_gpu", BENCH_GPU), ("graft", "#!/bin/sh\n")):
            path = os.path.join(self.folder, "bin", name)
            with open(path, "w") as f:
                f.write(text)
            os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
        self.out = os.path.join(self.folder, "out.jsonl")
        flags = argparse.Namespace(dry_run=False, build=self.folder, budget=1000)
        self.run_ = stages.Run(flags, self.out, dict(torch=None, torch_cuda=None, torch_missing="not here", nvidia=[], compute_capability="9.0"))
        self.before = dict(stages.STAGES)
        self.addCleanup(stages.STAGES.update, self.before)

    def lines(self, stage):
        return [line for line in summary.read(self.out) if line["stage"] == stage]

    def test_each_suite_is_on_its_own(self):
        stages.STAGES["tests"] = (stages.tests, 12)
        self.run_.stage("tests")
        self.assertFalse(self.run_.passed["tests"])
        said = {line["suite"]: line for line in self.lines("tests") if "suite" in line}
        self.assertEqual(said["Good."]["failures"], {})
        self.assertEqual(said["Bad/Cases."]["failures"], {"Bad/Cases.case": "2 is not 3"})
        self.assertIn("exit -11", said["Dead."]["error"])
        self.assertIn("out of time", said["Slow."]["error"])
        self.assertEqual(next(line for line in self.lines("tests") if "totals" in line)["unfinished"], ["Slow."])
        self.assertEqual(summary.faults(summary.read(self.out), "tests"), 2)

    def test_a_failed_stage_takes_nothing_along(self):
        stages.STAGES["tests"] = (lambda run, stage: 1 / 0, 30)
        for stage in ("tests", "parity", "kernels"):
            self.run_.stage(stage)
        self.assertEqual(self.run_.passed, {"tests": False, "parity": True, "kernels": True})
        lines = summary.read(self.out)
        self.assertEqual(summary.worst(lines, "logits_fp32"), 3e-6)
        self.assertEqual(summary.slowest_kernel(lines), ("relu", 0.9))

    def test_each_sanitizer_has_its_share(self):
        self.addCleanup(setattr, stages.machine, "tool", stages.machine.tool)
        fake = os.path.join(self.folder, "compute-sanitizer")
        with open(fake, "w") as f:
            f.write('#!/bin/sh\nwhile [ "${1##*test_gpu}" = "$1" ]; do shift; done\nexec "$@"\n')
        os.chmod(fake, 0o755)
        stages.machine.tool = lambda name: fake
        stages.STAGES["sanitizer"] = (stages.sanitizer, 20)
        self.run_.stage("sanitizer")
        lines = summary.read(self.out)
        for check in ("memcheck", "racecheck"):
            self.assertEqual(summary.stage_counts(lines, "sanitizer/" + check), dict(run=2, failed=1, skipped=0, broken=1), check)
            self.assertIn(check + ": 2 tests run", self.lines("sanitizer")[-1]["detail"])

    def test_programs_that_are_not_there(self):
        os.remove(os.path.join(self.folder, "bin/bench_gpu"))
        self.run_.stage("kernels")
        self.assertIn("run the stage build first", self.lines("kernels")[-1]["detail"])

    def test_the_budget_ends_stages(self):
        self.run_.flags.budget = 0
        self.run_.stage("kernels")
        self.assertIn("no time left", self.lines("kernels")[-1]["detail"])


def group(name, **ms):
    return [dict(stage="x", figure=f"{name}/{who}", ms=value, img_s=256e3 / value) for who, value in ms.items()]


class Table(unittest.TestCase):
    def rows(self, lines):
        return {row.split("|")[1].strip(): [c.strip() for c in row.split("|")[2:5]] for row in summary.table(lines).splitlines() if row.startswith("|")}

    def test_verdicts(self):
        lines = group("train/r50/224/b256/bf16", **{"graft": 50, "torch-eager": 60}) + group("infer/r50/224/b256/bf16", graft=20)
        lines += [dict(stage="parity", logits_fp32="2e-6", logits_bf16="0.5"), dict(stage="tests", totals=dict(run=10, failed=0, skipped=0), broken=[])]
        rows = self.rows(lines)
        self.assertEqual(rows["ResNet-50 training, bf16, batch 256"], ["at least 4000 img/s", "5120 img/s", "pass"])
        self.assertEqual(rows["the same beside PyTorch eager"][1:], ["1.2 x", "pass"])
        self.assertEqual(rows["ResNet-50 inference, bf16, batch 256"][2], "falls short")
        self.assertEqual(rows["ResNet-50 inference, bf16, batch 1, median"][1:], ["-", "not measured"])
        self.assertEqual([rows[w][2] for w in ("logits beside the CPU's, fp32", "logits, bf16", "failed tests of the kernels on the device")], ["pass", "falls short", "pass"])
        self.assertEqual(rows["train/r50/224/b256/bf16"], ["50", "1.2", "-"])

    def test_nothing_is_measured_without_a_gpu(self):
        lines = [line | {"dry_run": True} for line in group("train/r50/224/b256/bf16", graft=50)]
        lines += [dict(stage="tests", dry_run=True, totals=dict(run=0, failed=0, skipped=9), broken=[])]
        self.assertEqual({row[2] for name, row in self.rows(lines).items() if name not in ("what", "---")}, {"not measured"})

    def test_skipped_tests_prove_nothing(self):
        self.assertIsNone(summary.faults([dict(stage="tests", totals=dict(run=0, failed=0, skipped=9), broken=[])], "tests"))


if __name__ == "__main__":
    unittest.main()
