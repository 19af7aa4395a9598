"""What graft advise says beside what graft finetune then reaches, for every weight file and data set.

python advice_check.py GRAFT RESULTS.json --weights A B C --data SET[:SIZE] ... [--seeds N]
Each file is trained with a frozen backbone (the default recipe) on each set's train/ and judged on its val/, which the advice does
not see. Prints, per set and as means, the weighted Kendall tau of each score with the accuracies reached, and what the first choice
loses to the best (regret), beside the fixed order by size. Done pairs stay in RESULTS.json. Needs scipy.
"""
import argparse
import json
import os
import subprocess
import tempfile

from scipy.stats import weightedtau

parser = argparse.ArgumentParser()
parser.add_argument("graft")
parser.add_argument("results")
parser.add_argument("--weights", nargs="+", required=True)
parser.add_argument("--data", nargs="+", required=True)
parser.add_argument("--seeds", type=int, default=1)
args = parser.parse_args()
SCORES = ["probe", "logme", "h_score", "knn", "parameters"]
results = json.load(open(args.results)) if os.path.exists(args.results) else {}


def graft(*words):
    return subprocess.run([args.graft, *words], capture_output=True, text=True, check=True).stdout


def trained(weights, folder, size):
    reached = []
    for seed in range(args.seeds):
        with tempfile.TemporaryDirectory() as run:
            graft("finetune", "--weights", weights, "--data", folder, "--image-size", size, "--seed", str(seed), "--out", run + "/run")
            rows = [json.loads(line) for line in open(run + "/run/metrics.jsonl")]
            reached.append(max(row["val_accuracy"] for row in rows if "val_accuracy" in row))
    return sum(reached) / len(reached)


for data in args.data:
    folder, _, size = data.partition(":")
    rows = results.setdefault(os.path.basename(folder), {})
    if not rows:
        advice = json.loads(graft("advise", "--weights", *args.weights, "--data", folder, "--image-size", size or "64", "--json"))
        for row in advice["candidates"]:
            if row["cut"] == "auto":
                rows[os.path.basename(row["weights"])] = {key: row[key] for key in SCORES + ["seconds"]}
        rows["baselines"] = {row["what"]: row["probe"] for row in advice["baselines"]}
        rows["transfer"] = advice["transfer"]
    for weights in args.weights:
        row = rows[os.path.basename(weights)]
        if "reached" not in row:
            row["reached"] = trained(weights, folder, size or "64")
            json.dump(results, open(args.results, "w"), indent=1)
    files = {name: row for name, row in rows.items() if isinstance(row, dict) and "reached" in row}
    best = max(row["reached"] for row in files.values())
    print(os.path.basename(folder), rows["transfer"], rows["baselines"])
    for name, row in sorted(files.items(), key=lambda item: -item[1]["probe"]):
        print(f"  {name:45} probe {row['probe']:.3f}  reached {row['reached']:.3f}  LogME {row['logme']:.3f}")
    rows["tau"] = {s: float(weightedtau([r["reached"] for r in files.values()], [r[s] for r in files.values()], rank=True)[0]) for s in SCORES}
    rows["regret"] = {s: best - max(files.values(), key=lambda r: r[s])["reached"] for s in SCORES}
    print("  tau", {s: round(v, 3) for s, v in rows["tau"].items()}, "regret", {s: round(v, 3) for s, v in rows["regret"].items()}, flush=True)
    json.dump(results, open(args.results, "w"), indent=1)
for what in ["tau", "regret"]:
    print("mean", what, {s: round(sum(r[what][s] for r in results.values()) / len(results), 3) for s in SCORES})
