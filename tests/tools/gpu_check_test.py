"""tools/gpu_check without a GPU and without a build: both calls on programs that only pretend, some of which hang, die or fail; a machine
without cuDNN; a full disk; the pack; the tables."""
import contextlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tools/gpu_check"))
import device_tests
import gtest_output
import machine
import results
import run
import speed
import stage
import stages
import summary

# FAKE names what goes wrong: "hang=TEST", "crash=TEST", "fail=TEST", "no_cudnn".
TEST_GPU = r"""
filter= list= last= status=0
for argument; do
  case $argument in --gtest_filter=*) filter=${argument#*=} ;; --gtest_list_tests) list=yes ;; esac
done
take=${filter%%-*} leave=
case $filter in *-*) leave=${filter#*-} ;; esac
matches() {
  set -f; IFS=:
  for pattern in $2; do case $1 in $pattern) unset IFS; return 0 ;; esac; done
  unset IFS; return 1
}
wrong() { case " $FAKE " in *" $1 "*) return 0 ;; esac; return 1; }
for name in CONTACT Good.One Good.Two Good.Three Bad/Cases.Two/a NetParity.Logits WgmmaSteps.OneStep WgmmaSteps.SeveralSteps \
  Conv/WgmmaConvOnDevice.Agrees/k1; do
  matches $name "$take" || continue
  ! matches $name "$leave" || continue
  if [ $list ]; then
    [ "$last" = "${name%%.*}" ] || echo "${name%%.*}."
    last=${name%%.*}
    echo "  ${name#*.}  # GetParam()"
    continue
  fi
  echo "[ RUN      ] $name"
  ! wrong hang=$name || exec sleep 60
  ! wrong crash=$name || kill -SEGV $$
  [ $name != NetParity.Logits ] || echo "[ PROPERTY ] NetParity.Logits logits_fp32 3e-06"
  fails=
  ! wrong fail=$name || fails=yes
  case $name in *Cudnn*) ! wrong no_cudnn || fails=yes ;; esac
  if [ $fails ]; then
    status=1
    echo "x.cpp:7: Failure"
    [ $GRAFT_CUDA_WAIT ] && echo waiting || echo "2 is not 3"
    echo "[  FAILED  ] $name (3 ms)"
  else
    echo "[       OK ] $name (0 ms)"
  fi
done
[ $status = 0 ] || echo "[  FAILED  ] 1 test, listed below:"
exit $status
"""
BENCH_GPU = r"""
echo '{"kernel": "copy", "gb_s": 4000}'
echo '{"kernel": "relu", "share_of_copy": 0.9, "fits_l2": false}'
case $FAKE in *hang=bench_gpu*) exec sleep 60 ;; esac
echo '{"kernel": "add", "error": "out of memory"}'
echo "{\"kernel\": \"conv ${GRAFT_CUDNN_AUTOTUNE:-first}\", \"tflop_s\": 600}"
"""
# graft doctor, graft bench, and a worker of benchmarks/peers.
GRAFT = r"""
cudnn="cuDNN 9.19.0"
case $FAKE in *no_cudnn*) cudnn="cuDNN 9 was not found" ;; esac
case "$*" in
  doctor) echo "cuda          cuda:0 NVIDIA H200, compute capability 9.0, 139 GiB; $cudnn; cuBLASLt 13.1.0"; exit ;;
  *--profile*) echo "conv 12 ms"; exit ;;
  "bench --device"*) exit ;;
esac
case "$FAKE $*" in *crash=worker*--worker*) echo "no such device" >&2; exit 1 ;; esac
echo '{"items": 256, "device": "fake", "version": "1"}'
while read -r word count; do
  [ $word = run ] || { echo '{"peak_rss_mib": 1}'; exit; }
  secs=0.05
  while [ $((count -= 1)) -gt 0 ]; do secs="$secs, 0.05"; done
  echo "{\"secs\": [$secs]}"
done
"""
# On a machine that is busy with something else every limit is longer by this.
PATIENCE = float(os.environ.get("GRAFT_TEST_PATIENCE", "1"))


def script(path, text):
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


class Fakes(unittest.TestCase):
    """A folder of programs that pretend, a described machine, limits of a second."""
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder, self.out = folder.name, os.path.join(folder.name, "out")
        self.programs = os.path.join(self.folder, "bin")
        os.mkdir(self.programs)
        contact = " ".join("Contact." + test for _, test in device_tests.QUESTIONS)
        for name, text in (("test_gpu", TEST_GPU.replace("CONTACT", contact)), ("bench_gpu", BENCH_GPU), ("graft", GRAFT)):
            script(os.path.join(self.programs, name), text)
        worker = script(os.path.join(self.folder, "worker"), GRAFT)
        about = dict(gpu="NVIDIA H200", no_gpu=None, compute_capability="9.0", driver="580", torch="2.9", torch_cuda=True, torch_missing=None, nvidia=[],
                     commit="abc")
        self.patch(machine, "describe", lambda: about)
        self.patch(machine, "environment", lambda about: dict(os.environ))
        self.patch(machine, "tool", lambda name: None)
        for name in ("call", "stream"):
            longer = getattr(machine, name)
            self.patch(machine, name, lambda command, limit=20, *rest, longer=longer, **more: longer(command, limit * PATIENCE, *rest, **more))
        self.patch(device_tests, "QUESTION_SECONDS", 2)
        self.patch(device_tests, "SUITE_SECONDS", 2)
        self.patch(device_tests, "PARITY_SECONDS", 2)
        self.patch(stages, "STAGES", {name: (work, limit * PATIENCE) for name, (work, limit) in stages.STAGES.items()})
        stages.STAGES["kernels"] = (speed.kernels, 6 * PATIENCE)
        self.patch(speed, "GROUPS", (("train/r50/224/b256/bf16", 1, 2, "--task train --model resnet50 --size 224 --batch 256"),))
        self.patch(speed, "TORCH", {"torch-eager": worker})
        self.patch(speed, "PEERS_OF", {"none": [], "eager": ["torch-eager"], "all": ["torch-eager"]})
        self.patch(run, "PACK", "/nowhere")

    def patch(self, where, name, value):
        self.addCleanup(setattr, where, name, getattr(where, name))
        setattr(where, name, value)

    def check(self, *arguments, fake=""):
        """(exit status, what it printed)."""
        self.addCleanup(os.environ.pop, "FAKE", None)
        os.environ["FAKE"] = fake
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            status = run.main([*arguments, "--programs", self.programs, "--out", self.out] + ["--budget", str(330 * PATIENCE)] * ("--budget" not in arguments))
        return status, printed.getvalue()

    def lines(self, name="call1.tar"):
        return results.read(os.path.join(self.out, name))

    def of(self, stage_name, **fields):
        return [l for l in self.lines() if l["stage"] == stage_name and all(l.get(k) == v for k, v in fields.items())]


class BothCalls(Fakes):
    def test_a_device_that_answers(self):
        status, printed = self.check("--call", "1")
        self.assertEqual(status, 0, printed)
        self.assertLess(printed.index("TMA im2col"), printed.index("-- tests"), "the table of first questions prints first")
        self.assertEqual(os.listdir(self.out), ["call1.tar"])
        with tarfile.open(os.path.join(self.out, "call1.tar")) as tar:
            self.assertLessEqual(len(tar.getnames()), 8)
            self.assertIn("results.jsonl", tar.getnames())
        figure = self.of("speed", figure="train/r50/224/b256/bf16/graft")[0]
        self.assertEqual((figure["img_s"], figure["libraries"]["cudnn"]), (5120.0, "9.19.0"))
        self.assertEqual(len(self.of("peers", figure="train/r50/224/b256/bf16/torch-eager")), 1)
        self.assertEqual(summary.worst(self.lines(), "logits_fp32"), 3e-6)
        order = [line["stage"] for line in self.lines() if "status" in line]
        self.assertEqual((order[0], order[-1]), ("contact", "wgmma"))
        status, printed = self.check("--call", "2", "--after", os.path.join(self.out, "call1.tar"))
        self.assertEqual(status, 0, printed)
        self.assertIn("nothing had failed", printed)
        self.assertIn("every figure was there", printed)
        kernels = [line.get("kernel") for line in self.lines("call2.tar") if line["stage"].startswith("shapes")]
        self.assertTrue({"conv first", "conv 1"} <= set(kernels))

    def test_hangs_and_crashes_take_nothing_along(self):
        status, printed = self.check("--call", "1", fake="hang=Contact.Wgmma crash=Good.Two fail=Bad/Cases.Two/a hang=NetParity.Logits crash=WgmmaSteps.OneStep hang=bench_gpu")
        self.assertEqual(status, 1)
        answers = {l["test"]: l["answer"] for l in self.of("contact") if "question" in l}
        self.assertEqual({t for t, a in answers.items() if a != "yes"}, {"Wgmma"})
        self.assertEqual(answers["Wgmma"], "hangs")
        self.assertIn("from here on GRAFT_CUDA_WGMMA=off", printed)
        good = self.of("tests", suite="Good.")
        self.assertEqual((good[0]["run"], good[0]["failures"]), (2, {}), "One before it and Three behind it ran")
        self.assertIn("signal 11 in Good.Two", good[1]["error"])
        self.assertIn("2 is not 3", self.of("tests", suite="Bad/Cases.")[0]["failures"]["Bad/Cases.Two/a"])
        self.assertIn("waiting", self.of("again", test="Bad/Cases.Two/a")[0]["detail"])
        self.assertEqual(len(self.of("speed", figure="train/r50/224/b256/bf16/graft")), 1)
        self.assertEqual([l["kernel"] for l in self.of("kernels") if "kernel" in l], ["copy", "relu"], "what came before it hung")
        self.assertEqual([l["result"] for l in self.of("wgmma") if "result" in l], ["crashes", "passed"])
        rows = summary.table(self.lines())
        self.assertIn("| wgmma | hangs |", rows)
        # the second call asks for what failed, and no more
        status, printed = self.check("--call", "2", "--after", os.path.join(self.out, "call1.tar"))
        again = {l["test"]: l["result"] for l in self.lines("call2.tar") if l["stage"] == "again" and "test" in l}
        self.assertEqual(again, {t: "passed" for t in ("Good.Two", "Bad/Cases.Two/a", "NetParity.Logits")})
        asked = {l["test"] for l in self.lines("call2.tar") if l["stage"] == "contact" and "question" in l}
        self.assertEqual(asked, {"Device", "Kernel", "Wgmma"})

    def test_without_cudnn_it_fails_and_says_so(self):
        status, printed = self.check("--call", "1", fake="no_cudnn")
        self.assertEqual(status, 1)
        self.assertIn("cuDNN and cuBLASLt found", printed)
        self.assertIn("| cuDNN | NOT FOUND |", printed)
        self.assertIsNone(self.of("speed", figure="train/r50/224/b256/bf16/graft")[0]["libraries"]["cudnn"])

    def test_a_device_that_does_nothing_ends_the_call(self):
        status, printed = self.check("--call", "1", fake="hang=Contact.Kernel")
        self.assertEqual(status, 1)
        self.assertIn("left out: the device did not finish one kernel", printed)

    def test_a_worker_that_dies(self):
        status, printed = self.check("--call", "1", "--stage", "speed", fake="crash=worker")
        self.assertEqual(status, 1)
        self.assertIn("no such device", printed)

    def test_a_full_disk(self):
        os.mkdir(self.out)
        for name in ("results.jsonl", "call1.tar.part"):
            os.symlink("/dev/full", os.path.join(self.out, name))
        status, printed = self.check("--call", "1")
        self.assertEqual(status, 1)
        self.assertIn("not everything could be written", printed)
        self.assertIn("train/r50/224/b256/bf16/graft: 50.0 ms", printed, "figures are printed too")
        self.assertIn("-- wgmma", printed)
        with open(os.path.join(self.out, "report.txt")) as file:
            self.assertIn("50.0 ms", file.read(), "what could be written stands")

    def test_a_budget_ends_stages(self):
        status, printed = self.check("--stage", "kernels", "--budget", "1")
        self.assertEqual(status, 1)
        self.assertIn("no time left", printed)

    def test_programs_that_are_not_there(self):
        os.remove(os.path.join(self.programs, "bench_gpu"))
        status, printed = self.check("--stage", "kernels", "--stage", "parity")
        self.assertIn("tools/gpu_check.sh --pack", printed)
        self.assertIn("parity: passed", printed)

    def test_no_gpu(self):
        self.patch(machine, "describe", lambda: dict(gpu=None, no_gpu="there is no nvidia-smi"))
        self.assertEqual(self.check("--call", "1")[0], 4)

    def test_each_sanitizer_has_its_share(self):
        fake = script(os.path.join(self.folder, "compute-sanitizer"), 'while [ "${1##*test_gpu}" = "$1" ]; do shift; done\nexec "$@"\n')
        machine.tool = lambda name: fake if name == "compute-sanitizer" else None
        self.check("--call", "1", "--stage", "sanitizer", fake="fail=Good.One")
        for check in ("memcheck", "racecheck"):
            self.assertEqual(summary.stage_counts(self.lines(), "sanitizer/" + check), dict(run=4, failed=1, skipped=0, broken=0), check)


class Pack(Fakes):
    def test_programs_are_packed_and_unpacked(self):
        copy = os.path.join(self.folder, "graft")
        for part in ("tools/gpu_check", "tests/data/gpu", "benchmarks/peers"):
            subprocess.run(["mkdir", "-p", os.path.join(copy, part)], check=True)
            subprocess.run(["cp", "-r", os.path.join(ROOT, part), os.path.join(copy, os.path.dirname(part))], check=True)
        subprocess.run(["cp", os.path.join(ROOT, "tools/gpu_check.sh"), os.path.join(copy, "tools")], check=True)
        pack = lambda mebibytes: subprocess.run([os.path.join(copy, "tools/gpu_check.sh"), "--pack", "--programs", self.programs], capture_output=True,
                                                text=True, env=dict(os.environ, GRAFT_PACK_MIB=str(mebibytes)))
        made = pack(40)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.patch(run, "PACK", os.path.join(copy, "build/graft-gpu-check.tar.xz"))
        there = os.path.join(self.folder, "elsewhere")
        run.unpack(there)
        self.assertEqual(sorted(os.listdir(there)), ["bench_gpu", "commit.txt", "graft", "test_gpu"])
        self.assertTrue(os.access(os.path.join(there, "test_gpu"), os.X_OK))
        with tarfile.open(run.PACK) as tar:
            self.assertIn("graft/tools/gpu_check.sh", tar.getnames())
        with open(os.path.join(self.programs, "bench_gpu"), "wb") as file:  # random bytes do not become fewer
            file.write(os.urandom(2 << 20))
        made = pack(1)
        self.assertEqual(made.returncode, 1)
        self.assertIn("at most 1 can be carried", made.stderr)


class Output(unittest.TestCase):
    def test_parts_of_a_run_that_died(self):
        output = gtest_output.GtestOutput()
        for line in ("[ RUN      ] A.One", "noise[       OK ] A.One (3 ms)", "[ RUN      ] A/B.Two/x", "f.cpp:3: Failure", "  1 is not 2",
                     "[  FAILED  ] A/B.Two/x, where GetParam() = x (4 ms)", "[ RUN      ] A.Three", "last words"):
            output.line(line)
        self.assertEqual((output.results, output.running), ({"A.One": "passed", "A/B.Two/x": "failed"}, "A.Three"))
        self.assertEqual(output.failure("A/B.Two/x"), "f.cpp:3: Failure | 1 is not 2")

    def test_streams_end_with_what_they_left_behind(self):
        said, began = [], time.time()
        status = machine.stream(["sh", "-c", "echo one; (sleep 60) & echo two"], 20 * PATIENCE, lambda text, is_error: said.append(text))
        self.assertEqual((status, said), (0, ["one", "two"]))
        self.assertIsNone(machine.stream(["sh", "-c", "echo half; sleep 60"], 2 * PATIENCE, lambda text, is_error: said.append(text)))
        self.assertEqual(said[-1], "half")
        self.assertLess(time.time() - began, 40 * PATIENCE)


def group(name, **ms):
    return [dict(stage="x", figure=f"{name}/{who}", ms=value, img_s=256e3 / value) for who, value in ms.items()]


class Table(unittest.TestCase):
    def rows(self, lines):
        return {row.split("|")[1].strip(): [c.strip() for c in row.split("|")[2:-1]] for row in summary.table(lines).splitlines() if row.startswith("|")}

    def test_verdicts(self):
        lines = group("train/r50/224/b256/bf16", **{"graft": 35, "torch-eager": 42}) + group("infer/r50/224/b256/bf16", graft=20)
        lines += [dict(stage="parity", logits_fp32="2e-6", logits_bf16="0.5"), dict(stage="tests", totals=dict(run=10, failed=0, skipped=0), broken=[])]
        rows = self.rows(lines)
        self.assertEqual(rows["ResNet-50 training, bf16, batch 256"], ["at least 6500 img/s", "8500", "7314 img/s", "pass"])
        self.assertEqual(rows["the same beside PyTorch eager"][2:], ["1.2 x", "pass"])
        self.assertEqual(rows["ResNet-50 inference, bf16, batch 256"][3], "falls short")
        self.assertEqual(rows["ResNet-50 inference, bf16, batch 1, median"][2:], ["-", "not measured"])
        self.assertEqual([rows[w][3] for w in ("logits beside the CPU's, fp32", "logits, bf16", "failed tests of the kernels on the device")], ["pass", "falls short", "pass"])
        self.assertEqual(rows["train/r50/224/b256/bf16"], ["35", "1.2", "-", "-"])

    def test_nothing_is_measured_without_a_gpu(self):
        lines = [line | {"dry_run": True} for line in group("train/r50/224/b256/bf16", graft=50)]
        lines += [dict(stage="tests", dry_run=True, totals=dict(run=0, failed=0, skipped=9), broken=[])]
        self.assertEqual({row[-1] for name, row in self.rows(lines).items() if name not in ("what", "---")}, {"not measured"})

    def test_skipped_tests_prove_nothing(self):
        self.assertIsNone(summary.faults([dict(stage="tests", totals=dict(run=0, failed=0, skipped=9), broken=[])], "tests"))


if __name__ == "__main__":
    unittest.main()
