"""The networks that graft is to be fast on, each beside its fastest peers: one command runs every row and prints the table.

    GRAFT=.../graft PEERS_PY=.../python3 python3 networks.py [--only REGEX] [--threads 2] [--rounds 4] [--list] [--out FILE]

Training is beside PyTorch (channels_last), inference beside onnxruntime and OpenVINO, the ratio to the faster. "graft" is the native
network, "graft-onnx" the same file that the peers run, imported as a graph. ONNX files are made once by export_onnx.py in
$PEERS_DIR. A row whose workers fail says so in the table; bf16 rows need a processor that multiplies bfloat16.
"""
import argparse, json, os, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.environ.get("PEERS_DIR", "/tmp/graft-peers")
PY = os.environ.get("PEERS_PY", "python3")

# torchvision's name, whether graft has it natively, batch of training and of inference, dtypes.
NETWORKS = [
    ("mobilenet_v2", True, 16, 8, ("fp32", "bf16")),
    ("efficientnet_b0", True, 16, 8, ("fp32",)),
    ("mobilenet_v3_large", True, 8, 4, ("fp32",)),
    ("shufflenet_v2_x1_0", False, 16, 8, ("fp32",)),
    ("resnext50_32x4d", True, 16, 8, ("fp32",)),
    ("convnext_tiny", False, 8, 4, ("fp32",)),
    ("vit_b_16", False, 8, 4, ("fp32",)),
    ("squeezenet1_1", True, 16, 8, ("fp32", "bf16")),
    ("densenet121", True, 16, 8, ("fp32", "bf16")),
    ("vgg16", True, 16, 8, ("fp32", "bf16")),
    ("resnet50", True, 16, 8, ("fp32", "bf16")),
]


def rows(threads):
    """(name, arguments common to the workers, workers): the first worker is the one that others are compared with."""
    for model, native, train, infer, dtypes in NETWORKS:
        file = os.path.join(FOLDER, f"{model}-224.onnx")
        for dtype in dtypes:
            common = f"--threads {threads} --model {model} --size 224 --dtype {dtype}"
            graft = ({"graft": "GRAFT"} if native else {}) | {"graft-onnx": f"GRAFT --onnx {file}"}
            yield (f"train/{model}/{dtype}/b{train}", f"--task train --batch {train} {common}",
                   {"torch": "PY worker_torch.py --layout cl"} | graft, file)
            peers = {"openvino": f"PY worker_ov.py --onnx {file}"}
            if dtype == "fp32":
                peers = {"ort": f"PY worker_ort.py --onnx {file}"} | peers
            yield f"infer/{model}/{dtype}/b{infer}", f"--batch {infer} {common}", peers | graft, file
    yield ("train/tutorial/fp32/b4", f"--task train --threads {threads} --batch 4 --model resnet50 --size 28 --classes 10",
           {"torch": "PY worker_torch.py --opt adam-fused", "graft": "GRAFT --opt adam"}, None)


def export(file):
    if file is None or os.path.exists(file):
        return
    os.makedirs(FOLDER, exist_ok=True)
    model, size = os.path.basename(file).removesuffix(".onnx").rsplit("-", 1)
    subprocess.run([PY, os.path.join(HERE, "export_onnx.py"), file, model, size], check=True)


def measure(name, common, workers, a):
    command = [PY, os.path.join(HERE, "bench.py"), "--name", name, "--rounds", str(a.rounds), "--iters", str(a.iters),
               "--common", common, "--out", a.out] + [f"{label}={c}" for label, c in workers.items()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["figure"].rsplit("/", 1)[1]: line for line in lines}


def table_line(name, workers, lines):
    peers = [w for w in workers if not w.startswith("graft")]
    best = max((lines[p]["img_s"] for p in peers if "img_s" in lines.get(p, {})), default=None)
    cells = []
    for graft in ("graft", "graft-onnx"):
        line = lines.get(graft, {})
        if graft not in workers:
            cells.append("")
        elif "img_s" not in line or best is None:
            cells.append("not measured: " + (line.get("error") or "no peer ran").strip().splitlines()[-1][:80])
        else:
            cells.append(f"{line['img_s'] / best:.2f} ({line['peak_rss_mib']:.0f} MiB, waited {100 * line['foreign_max']:.0f} %)")
    said = ", ".join(f"{p} {lines[p]['img_s']:.1f}/s {lines[p]['peak_rss_mib']:.0f} MiB" for p in peers if "img_s" in lines.get(p, {}))
    return f"| {name} | {said or 'none ran'} | {cells[0]} | {cells[1]} |"


ap = argparse.ArgumentParser()
ap.add_argument("--only", default="", help="rows whose names this regular expression finds")
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--rounds", type=int, default=4)
ap.add_argument("--iters", type=int, default=2)
ap.add_argument("--list", action="store_true")
ap.add_argument("--out", default=os.path.join(HERE, "results.jsonl"))
a = ap.parse_args()
wanted = [r for r in rows(a.threads) if re.search(a.only, r[0])]
if a.list:
    sys.exit("\n".join(r[0] for r in wanted))
print("| work | peers | graft | graft, from ONNX |\n|---|---|---|---|", flush=True)
for name, common, workers, file in wanted:
    try:
        export(file)
    except subprocess.CalledProcessError:
        print(f"| {name} | the ONNX file could not be made | | |", flush=True)
        continue
    print(table_line(name, workers, measure(name, common, workers, a)), flush=True)
