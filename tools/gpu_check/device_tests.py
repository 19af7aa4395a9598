"""Stages that run test_gpu: the first questions, the tests, what failed once more, wgmma alone, parity, sanitizers. Each process has a time
limit, and its output is read as it comes."""
import concurrent.futures
import re
import shlex
import time

import machine
from gtest_output import GtestOutput, list_of
from stage import Failed

SUITE_SECONDS = 15
PARITY_SECONDS = 30
QUESTION_SECONDS = 10
# What a first contact asks, in this order: a name, the test of tests/kernels/cuda/contact_test.cpp.
QUESTIONS = (("device and driver", "Device"), ("memory pools", "Pools"), ("a kernel", "Kernel"), ("an event", "Event"), ("a capture", "Capture"),
             ("cuDNN forward", "CudnnForward"), ("cuDNN backward-data", "CudnnBackwardData"), ("cuDNN backward-weight", "CudnnBackwardWeight"),
             ("a fused plan", "FusedPlan"), ("a plan saved and restored", "PlanSaveRestore"), ("cuBLASLt", "Cublaslt"), ("wgmma", "Wgmma"),
             ("TMA im2col", "TmaIm2col"))
WGMMA = ("Wgmma", "TmaIm2col")
NOT_IN_TESTS = ("Contact*", "*Wgmma*", "*Parity*")  # stages of their own


def run_gtest(run, filters, seconds, log, env=None, before=(), at_once=True):
    """One process of test_gpu, its output into the file `log` as it comes or, of processes side by side, at its end. Returns (exit status
    or None, what it said)."""
    output = GtestOutput()
    command = [*before, run.program("test_gpu"), f"--gtest_filter={filters}", "--gtest_color=no"]
    kept = [f"\n== {shlex.join(command)}\n"]

    def line(text, is_error):
        output.line(text)
        kept.append(text + "\n")
        if at_once:
            run.results.write(log, "".join(kept))
            kept.clear()
    status = run.stream(command, seconds, line, env)
    run.results.write(log, "".join(kept))
    return status, output


def exit_words(status, output):
    if status is None:
        return f"ran out of time{' in ' + output.running if output.running else ''}"
    name = f"signal {-status}" if status < 0 else f"exit {status}"
    return f"{name}{' in ' + output.running if output.running else ''}: {' | '.join(output.other[-4:])[-300:]}"


def listed(run, pattern):
    status, out, err = run.call([run.program("test_gpu"), "--gtest_list_tests", f"--gtest_filter={pattern}"], limit=20)
    if status != 0:
        raise Failed(f"test_gpu does not start: {'ran out of time' if status is None else err.strip()[-300:]}")
    return list_of(out)


def contact(run, stage):
    """One process a question. What answers nothing is kept out of the stages behind it, and said."""
    run.libraries = machine.libraries(run.program("graft"), run.env)
    run.results.write("machine.txt", run.libraries["text"] + "\n")
    run.emit(stage, libraries=run.libraries)
    rows, answers = [], {}
    missing = [name for name in ("cudnn", "cublaslt") if not run.libraries[name]]
    rows.append(("cuDNN and cuBLASLt found", "no" if missing else "yes", run.libraries["text"]))
    asked = run.only.get("contact")
    for question, test in QUESTIONS:
        if asked is not None and test not in asked and test not in ("Device", "Kernel"):
            continue
        status, output = run_gtest(run, f"Contact.{test}", QUESTION_SECONDS, "contact.txt")
        name = f"Contact.{test}"
        result = output.results.get(name)
        if result == "passed" and status == 0:
            answer, detail = "yes", ", ".join(f"{k} {v}" for k, v in output.properties.get(name, {}).items())
        elif result in ("failed", "skipped"):
            answer, detail = ("no" if result == "failed" else "skipped"), output.failure(name)
        else:
            answer = "hangs" if status is None else "crashes" if output.running else "no"
            detail = exit_words(status, output) if status != 0 else "test_gpu has no such test"
        answers[test] = answer
        rows.append((question, answer, detail))
        run.emit(stage, question=question, test=test, answer=answer, detail=detail)
    run.answers.update(answers)
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
    for row in rows:  # the table prints before anything else runs
        run.say(f"  {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2][:160]}")
    keep_out(run)
    if run.dry:
        return "no GPU: each question is skipped"
    if missing or set(answers.values()) != {"yes"}:
        no = [q for q, a, _ in rows if a != "yes"]
        raise Failed(f"{len(no)} of {len(rows)} not answered with yes: {', '.join(no)}")
    return f"{len(rows)} questions, each answered with yes"


def keep_out(run):
    bad = ("no", "hangs", "crashes")
    if any(run.answers.get(test) in bad for test in WGMMA):
        run.env["GRAFT_CUDA_WGMMA"] = "off"
        run.say("  from here on GRAFT_CUDA_WGMMA=off, but in the stage wgmma")
    if any(run.answers.get(test) in bad[1:] for test in ("CudnnForward", "CudnnBackwardData", "CudnnBackwardWeight", "FusedPlan", "PlanSaveRestore")):
        run.env["GRAFT_CUDNN_LIBRARY"] = "off"
        run.say("  from here on GRAFT_CUDNN_LIBRARY=off: every convolution runs on graft's own kernels, and no speed is cuDNN's")
    if run.answers.get("Kernel") in bad[1:]:
        run.gone = "the device did not finish one kernel"
        run.say(f"  {run.gone}: the other stages are left out")


class Suite:
    """A suite in as many processes as it takes: one that dies goes on behind the test it died in."""
    def __init__(self, run, name, tests, env=None, before=(), seconds=SUITE_SECONDS):
        self.name, self.results, self.broken, self.properties, self.why = name, {}, [], {}, ""
        until = time.time() + (seconds * (4 if run.dry else 1))
        self.left = list(tests)
        while self.left and time.time() < until - 0.5:
            # Names with slashes are literal; the first process takes the suite as it is.
            skip = [t for t in tests if t not in self.left]
            filters = f"{name}*" + ("-" + ":".join(name + t for t in skip) if skip else "")
            status, output = run_gtest(run, filters, until - time.time(), "tests.txt", env, before, at_once=False)
            for test, result in output.results.items():
                self.results[test] = (result, output.failure(test) if result != "passed" else "")
            self.properties.update(output.properties)
            died = output.running
            if died:
                self.broken.append((died, exit_words(status, output) + ": " + output.failure(died)))
            done = {t for t in self.left if name + t in output.results or name + t == died}
            self.left = [t for t in self.left if t not in done]
            if status != 0 and not died and not any(r == "failed" for r in output.results.values()):
                self.why = exit_words(status, output)
                break
            if not done or status is None:
                break


def run_tests(run, stage, suites, env=None, before=(), seconds=SUITE_SECONDS):
    """Suites, some at a time. Emits a line a suite, and what failed into run.failures."""
    totals, broken, unfinished = dict(run=0, failed=0, skipped=0), [], []
    workers = max(1, min(4, machine.CORES // 2))
    threads = concurrent.futures.ThreadPoolExecutor(workers)
    waiting = {threads.submit(Suite, run, name, tests, env, before, seconds): name for name, tests in suites.items() if run.left() > 1 or run.dry}
    for future in concurrent.futures.as_completed(waiting):
        suite = future.result()
        count = lambda kind: sum(result == kind for result, _ in suite.results.values())
        failures = {name: text for name, (result, text) in suite.results.items() if result == "failed"}
        totals["run"] += count("passed") + count("failed")
        totals["failed"] += len(failures)
        totals["skipped"] += count("skipped")
        run.emit(stage, suite=suite.name, run=count("passed") + count("failed"), skipped=count("skipped"), failures=failures)
        for test, why in suite.broken:
            run.emit(stage, suite=suite.name, test=test, error=why)
        if suite.broken or suite.why:
            broken.append(suite.name)
            if suite.why:
                run.emit(stage, suite=suite.name, error=suite.why)
        if suite.left:
            unfinished.append(suite.name)
            run.emit(stage, suite=suite.name, not_run=suite.left)
        for test in [*failures, *(t for t, _ in suite.broken)]:
            run.failures.append(test)
            run.say(f"  {test}: {failures.get(test) or dict(suite.broken)[test]}"[:300])
        for test, figures in suite.properties.items():
            run.emit(stage, test=test, **figures)
    threads.shutdown()
    run.emit(stage, totals=totals, suites=len(suites), broken=broken, unfinished=unfinished)
    text = (f"{totals['run']} tests run, {totals['failed']} failed, {totals['skipped']} skipped; of {len(suites)} suites {len(broken)} broke, "
            f"{len(unfinished)} ran out of time")
    if totals["failed"] or broken or unfinished or not suites or (not run.dry and not totals["run"]):
        raise Failed(text)
    return text


def tests(run, stage):
    run.warm_up()
    return run_tests(run, stage, listed(run, "*:-" + ":".join(NOT_IN_TESTS)))


def parity(run, stage):
    return run_tests(run, stage, listed(run, "*Parity*"), seconds=PARITY_SECONDS)


def again(run, stage):
    """What failed, each alone: the host waits after each launch, and what was dispatched is logged; then under memcheck."""
    failed = list(dict.fromkeys([*run.only.get("again", []), *run.failures]))
    if not failed:
        return "nothing had failed"
    env = dict(run.env, GRAFT_CUDA_WAIT="1", GRAFT_LOG="dispatch,cudnn,graph")
    sanitizer = machine.tool("compute-sanitizer")
    done = 0
    for test in failed:
        if run.left() < 3:
            break
        status, output = run_gtest(run, test, 10, "again.txt", env)
        result = output.results.get(test) or exit_words(status, output)
        run.emit(stage, test=test, result=result, detail=output.failure(test, 800))
        run.say(f"  {test}, waiting after each launch: {result}")
        done += 1
    checked = 0
    for test in failed if sanitizer and not run.dry else []:
        if run.left() < 8:
            break
        command = [sanitizer, "--tool", "memcheck", "--error-exitcode", "9", "--target-processes", "all"]
        status, output = run_gtest(run, test, 25, "again.txt", dict(env, GRAFT_CUDNN_LIBRARY="off"), command)
        said = next((l for l in output.other + output.texts.get(test, []) if "=========" in l and re.search("Invalid|error|race|Misaligned", l)), "")
        run.emit(stage, test=test, memcheck=said or exit_words(status, output) if status else "no fault")
        checked += 1
    return f"{done} of {len(failed)} failed tests once more, {checked} under compute-sanitizer{'' if sanitizer else ' (there is none)'}"


def wgmma(run, stage):
    """Alone and last, because it may take the device with it: small steps first, a process each; then the cases of all sizes."""
    env = {k: v for k, v in run.env.items() if k != "GRAFT_CUDA_WGMMA"}
    steps = listed(run, "WgmmaSteps.*").get("WgmmaSteps.", [])
    wrong = []
    for step in steps:
        name = "WgmmaSteps." + step
        status, output = run_gtest(run, name, QUESTION_SECONDS, "tests.txt", env)
        result = output.results.get(name)
        detail = "" if result == "passed" else output.failure(name, 400) or exit_words(status, output)
        result = result or ("hangs" if status is None else "crashes")
        wrong += [step] if result not in ("passed", "skipped") else []
        run.emit(stage, test=name, result=result, detail=detail)
        run.say(f"  {step}: {result} {detail[:200]}")
    if wrong:
        raise Failed(f"first wrong: {wrong[0]}; of {len(steps)} steps {len(wrong)} are wrong")
    return f"{len(steps)} steps; " + run_tests(run, stage, listed(run, "*Wgmma*:-WgmmaSteps.*:Contact*"), env)


# racecheck looks at shared memory alone, so suites without any are left to memcheck. cuDNN's kernels are not graft's to check.
CHECKS = {"memcheck": "*BenchRows*:DeviceFit*", "racecheck": "*BenchRows*:DeviceFit*:Unary*:Binary*:Movement*:*ImageInput*:*Geometry*"}


def sanitizer(run, stage):
    program = machine.tool("compute-sanitizer")
    env = dict(run.env, GRAFT_CUDNN_LIBRARY="off")
    said, failures, end = [], [], run.until
    for number, (check, pattern) in enumerate(CHECKS.items()):
        run.until = time.time() + (end - time.time()) / (len(CHECKS) - number)  # an equal share of what is left
        command = [program or "compute-sanitizer", "--tool", check, "--error-exitcode", "9", "--target-processes", "all"]
        if not program or run.dry:
            run.emit(stage, check=check, command=shlex.join(command + ["test_gpu"]), found=program)
            said.append(f"{check} not run: {'no compute-sanitizer here' if not program else 'no GPU'}")
            continue
        try:
            suites = listed(run, "*:-" + ":".join([*NOT_IN_TESTS, pattern]))
            said.append(f"{check}: " + run_tests(run, f"{stage}/{check}", suites, env, command, seconds=60))
        except Failed as failure:
            failures.append(f"{check}: {failure}")
    if failures:
        raise Failed("; ".join(failures + said))
    return "; ".join(said)
