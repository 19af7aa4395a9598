"""Runs ONNX's own backend tests through graft and counts. Needs the onnx package (1.23.2 is what the counts are for).

    cmake --build build/dev --target onnx_cases
    python tests/conformance/run_node_cases.py [--list FILE]... [--kind node|pytorch-operator|pytorch-converted]
        [--binary build/dev/onnx_cases] [--cases FOLDER] [--show failed|unsupported|all]

--list names the cases to count, one a line (default: all of the kind). Prints passed / failed / not supported per
operator (the case's distinct one, read from its name) and in total; what does not pass, with the reason. With --list, exit 1
when a case fails that left_out.txt does not name with a reason, or when one passes that it names. The cases are
written once into --cases (default: build/onnx_cases). Cases with sequences, optionals, strings or types that graft has
no tensors for are not supported.
"""
import argparse
import collections
import os
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

warnings.filterwarnings("ignore")
ROOT = pathlib.Path(__file__).resolve().parents[2]


def proto(value, info):
    if info.type.HasField("sequence_type"):
        return numpy_helper.from_list(value, info.name)
    if info.type.HasField("optional_type"):
        return numpy_helper.from_optional(value, info.name)
    return value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), info.name)


def write_generated(folder):
    """The node cases, which the package generates."""
    for case in load_model_tests(kind="node"):
        here = folder / case.name
        here.mkdir(parents=True, exist_ok=True)
        (here / "model.onnx").write_bytes(case.model.SerializeToString())
        (here / "tolerance").write_text(f"{case.rtol} {case.atol}")
        for i, (inputs, outputs) in enumerate(case.data_sets):
            data = here / f"test_data_set_{i}"
            data.mkdir(exist_ok=True)
            for kind, values, infos in (("input", inputs, case.model.graph.input), ("output", outputs, case.model.graph.output)):
                for j, value in enumerate(values):
                    (data / f"{kind}_{j}.pb").write_bytes(proto(value, infos[j]).SerializeToString())


def link_stored(folder, kind):
    """The suites that stand in the package as files."""
    folder.mkdir(parents=True, exist_ok=True)
    data = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / kind
    for case in sorted(data.iterdir()):
        if (case / "model.onnx").exists() and not (folder / case.name).exists():
            os.symlink(case, folder / case.name)


def prepare(folder, kind):
    if not folder.exists():
        write_generated(folder) if kind == "node" else link_stored(folder, kind)
    return sorted(p.name for p in folder.iterdir())


def run(binary, folder, names):
    """Runs the cases; a crash is counted for the case in which it happened, and the rest goes on."""
    results, rest = {}, list(names)
    while rest:
        done = subprocess.run([binary, folder], input="\n".join(rest) + "\n", capture_output=True, text=True, errors="replace")
        lines = [line.split("\t", 2) for line in done.stdout.splitlines() if line.count("\t") >= 2]
        results.update({name: (verdict, reason) for name, verdict, reason in lines})
        rest = [name for name in rest if name not in results]
        if rest:
            results[rest[0]] = ("failed", f"the program ended with {done.returncode}")
            rest = rest[1:]
    return results


def operator_of(folder, name):
    """The operators of a case, but for those that merely carry its expansion."""
    nodes = onnx.load(str(folder / name / "model.onnx"), load_external_data=False).graph.node
    operators = sorted({node.op_type for node in nodes})
    return operators[0] if len(operators) == 1 else f"{name.removeprefix('test_').split('_')[0]} (composed)"


def report(folder, results, show):
    counts = collections.defaultdict(collections.Counter)
    for name, (verdict, reason) in sorted(results.items()):
        counts[operator_of(folder, name)][verdict] += 1
        if verdict != "passed" and show in (verdict, "all"):
            print(f"{verdict:12} {name}: {reason}")
    for operator, count in sorted(counts.items()):
        print(f"{operator:40} {count['passed']:4} passed {count['failed']:4} failed {count['unsupported']:4} not supported")


def check_left_out(results):
    lines = (pathlib.Path(__file__).parent / "left_out.txt").read_text().splitlines()
    known = {line.split(":")[0] for line in lines if line and not line.startswith("#")}
    missed = {name for name, (verdict, _) in results.items() if verdict != "passed"}
    for name in sorted(missed - known):
        print("not passed, and not in left_out.txt:", name)
    for name in sorted((known & results.keys()) - missed):
        print("passed, though left_out.txt names it:", name)
    return 1 if missed - known or (known & results.keys()) - missed else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="append", default=[], type=pathlib.Path)
    parser.add_argument("--kind", default="node", choices=["node", "pytorch-operator", "pytorch-converted"])
    parser.add_argument("--binary", default=ROOT / "build" / "dev" / "onnx_cases")
    parser.add_argument("--cases", default=None, type=pathlib.Path)
    parser.add_argument("--show", default="all", choices=["failed", "unsupported", "all", "none"])
    options = parser.parse_args()
    folder = (options.cases or ROOT / "build" / "onnx_cases") / options.kind
    everything = prepare(folder, options.kind)
    wanted = sorted({line.strip() for file in options.list for line in file.read_text().splitlines() if line.strip()}) or everything
    results = run(options.binary, folder, wanted)
    report(folder, results, options.show)
    for file in options.list or [None]:
        names = [line.strip() for line in file.read_text().splitlines() if line.strip()] if file else everything
        total = collections.Counter(results[name][0] for name in names)
        print(f"{file.name if file else options.kind}: {total['passed']} of {len(names)} passed, {total['failed']} failed, {total['unsupported']} not supported")
    if options.list:
        sys.exit(check_left_out(results))


main()
