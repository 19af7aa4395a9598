"""graft's tasks `multilabel` and `regress` beside scikit-learn and PyTorch, on data made of Fashion-MNIST (tasks_data.py).

    python tasks.py --graft GRAFT --backbone resnet18_backbone.npz --fashion /usr/share/datasets/fashion-mnist --work FOLDER

frozen:     labels of collages, a linear head on the frozen backbone, beside scikit-learn's logistic regressions on `graft features`
multilabel: the same labels, all layers trained, beside PyTorch
regress:    the angle of turned images, all layers trained, beside PyTorch

Both sides of a comparison see the same images, choose on the same validation part (scikit-learn its C, trained networks their
epoch, all of them each label's threshold) and are judged once on the same test part. Networks that are trained start from one file,
which graft writes: the un-folded backbone with a new head. A seed draws data, head and orders; the two sides' orders differ.

One JSON line a figure is added to FOLDER/tasks.jsonl, and a table of all that stand there is printed: runs of single parts or seeds
add up. Needs graft's command, an .npz or other file of a ResNet-18 without classifier (whole or cut after a stage), numpy, scipy,
scikit-learn and torch.
"""
import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time

from common import set_threads_env

KINDS = {"frozen": "collages", "multilabel": "collages", "regress": "turned"}
CS = [10.0**e for e in (-5, -4.5, -4, -3.5, -3, -2.5, -2, -1.5, -1, 0, 1)]


def say(text):
    print(text, file=sys.stderr, flush=True)


class Graft:
    """The command, with what every verb is given."""

    def __init__(self, args):
        self.args = args

    def __call__(self, *words):
        words = [self.args.graft, *map(str, words), "--threads", str(self.args.threads)]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(words)}\nended with code {done.returncode}:\n{done.stderr[-2000:]}")
        return done

    def finetune(self, weights, folder, run, seed, *flags):
        """The model, and the seconds that it took."""
        shutil.rmtree(run, ignore_errors=True)
        start = time.perf_counter()
        done = self("finetune", "--weights", weights, "--data", f"{folder}/train.csv", "--image-size", 64, "--resize", "squash",
                    "--augment", "none", "--seed", seed, "--out", run, *flags)
        with open(f"{run}.txt", "w") as file:
            file.write(done.stderr + done.stdout)
        return f"{run}/model.safetensors", time.perf_counter() - start

    def judged(self, model, table, predictions=None):
        return json.loads(self("evaluate", model, "--data", table, "--json",
                               *(["--predictions", predictions] if predictions else [])).stdout)

    def features(self, model, folder, parts):
        """Of each part, in the order of the tables. The verb wants one label an image: it gets the first column, which shows that
        the rows stand as they should."""
        found = {}
        for table, names in (("train", {"train": "", "val": "_val"}), ("test", {"test": ""})):
            file = f"{folder}/{table}-features.npz"
            self("features", model, "--data", f"{folder}/{table}.csv", "--label-column", data.GARMENTS[0], "--out", file)
            with np.load(file) as arrays:
                for part, suffix in names.items():
                    found[part] = arrays[f"x{suffix}"]
                    if not np.array_equal(arrays[f"y{suffix}"], parts[part].answers[:, 0]):
                        raise SystemExit(f"{file}: the rows are not those of the table")
        return found


def thresholds_of(truth, scores):
    """Each label's at which F1 is highest, in the middle between two scores; of equals the highest."""
    chosen = []
    for there, score in zip(truth.T, scores.T):
        values = np.unique(score)[::-1]
        f1 = [2 * there[score >= v].sum() / ((score >= v).sum() + there.sum()) for v in values]
        best = int(np.argmax(f1))
        chosen.append((values[best] + values[min(best + 1, len(values) - 1)]) / 2)
    return np.array(chosen)


def label_scores(val, test, val_scores, test_scores):
    said = test_scores >= thresholds_of(val, val_scores)
    return {"mAP": average_precision_score(test, test_scores, average="macro"), "macro-F1": f1_score(test, said, average="macro")}


def graft_label_scores(graft, model, folder, test):
    """As graft says them, with a check of its mAP by scikit-learn on the probabilities that it writes."""
    j = graft.judged(model, f"{folder}/test.csv", f"{folder}/graft-test.csv")
    with open(f"{folder}/graft-test.csv") as file:
        rows = list(csv.DictReader(file))
    probabilities = np.array([[float(row[f"p_{label}"]) for label in data.GARMENTS] for row in rows])
    again = average_precision_score(test.answers, probabilities, average="macro")
    if abs(again - j["mAP"]) > 1e-3:
        raise SystemExit(f"graft says an mAP of {j['mAP']}, scikit-learn of its probabilities {again}")
    return {"mAP": j["mAP"], "macro-F1": j["macro_f1"]}


def frozen(args, graft, parts, folder, seed):
    model, seconds = graft.finetune(args.backbone, folder, f"{folder}/frozen", seed, "--freeze", "backbone", "--task", "multilabel")
    own = graft_label_scores(graft, model, folder, parts["test"])
    x, start = graft.features(model, folder, parts), time.perf_counter()
    scaler, best = StandardScaler().fit(x["train"]), None
    for c in CS:
        fitted = OneVsRestClassifier(LogisticRegression(C=c, max_iter=2000)).fit(scaler.transform(x["train"]), parts["train"].answers)
        val, test = (fitted.decision_function(scaler.transform(x[name])) for name in ("val", "test"))
        score = average_precision_score(parts["val"].answers, val, average="macro")
        if best is None or score > best[0]:
            best = score, c, val, test
    peer = label_scores(parts["val"].answers, parts["test"].answers, best[2], best[3])
    return own, peer, {"peer_c": best[1], "graft_s": seconds, "peer_s": time.perf_counter() - start}


def start_of(args, graft, folder, task, seed):
    """A file from which both sides start: one pass at a rate that changes no weight."""
    return graft.finetune(args.backbone, folder, f"{folder}/start", seed, "--freeze", "none", "--task", task, "--epochs", 1, "--batch", 250,
                          "--optimizer", "sgd", "--lr", "1e-30", "--momentum", 0, "--weight-decay", 0, "--schedule", "constant",
                          "--warmup", 0)[0]


def graft_trained(args, graft, folder, task, seed):
    model, seconds = graft.finetune(f"{folder}/start/model.safetensors", folder, f"{folder}/trained", seed, "--freeze", "none", "--head", "auto",
                                    "--task", task, "--epochs", args.epochs, "--batch", args.batch, "--optimizer", "sgd", "--lr", args.lr,
                                    "--momentum", args.momentum, "--weight-decay", args.weight_decay, "--schedule", "cosine",
                                    "--warmup", args.warmup)
    with open(f"{folder}/trained/metrics.jsonl") as file:
        return model, seconds, [json.loads(line) for line in file]


def torch_start(path, outputs, parts):
    network, metadata = peer.network_of(path, outputs)
    card = next(json.loads(value) for value in metadata.values() if value.startswith("{") and "preprocess" in json.loads(value))
    return network, {name: peer.Images(part.images, card["preprocess"]) for name, part in parts.items()}


def check_start(said, own):
    """Both sides' answers before the first step."""
    difference = float(np.abs(said - own).max())
    say(f"the start's answers differ by at most {difference:.1e}")
    if difference > 2e-3 * max(1, float(np.abs(own).max())):
        raise SystemExit("the two networks do not start alike")
    return difference


def column(path, names):
    with open(path) as file:
        return np.array([[float(row[name]) for name in names] for row in csv.DictReader(file)])


def multilabel(args, graft, parts, folder, seed):
    start = start_of(args, graft, folder, "multilabel", seed)
    truth = {name: part.answers for name, part in parts.items()}
    network, images = torch_start(start, len(data.GARMENTS), parts)
    graft.judged(start, f"{folder}/test.csv", f"{folder}/start-test.csv")
    off = check_start(1 / (1 + np.exp(-peer.answers(network, images["test"]))),
                      column(f"{folder}/start-test.csv", [f"p_{label}" for label in data.GARMENTS]))

    def judge(trained):
        x, t = peer.answers(trained, images["val"]), truth["val"]
        score = average_precision_score(t, x, average="macro")
        say(f"torch: validation mAP {score:.4f}")
        return score, -float(np.mean(np.logaddexp(0, x) - t * x))

    begin = time.perf_counter()
    judged = peer.train(network, images["train"], truth["train"], peer.bce(), args, seed, judge)
    peer_s = time.perf_counter() - begin
    theirs = label_scores(truth["val"], truth["test"], peer.answers(network, images["val"]), peer.answers(network, images["test"]))
    model, seconds, history = graft_trained(args, graft, folder, "multilabel", seed)
    own = graft_label_scores(graft, model, folder, parts["test"])
    return own, theirs, {"graft_s": seconds, "peer_s": peer_s, "start_differs_by": off, "graft_epochs": history, "peer_epochs": judged}


def regress(args, graft, parts, folder, seed):
    start = start_of(args, graft, folder, "regress", seed)
    truth = {name: part.answers for name, part in parts.items()}
    mean, deviation = truth["train"].mean(0), truth["train"].std(0)
    network, images = torch_start(start, 1, parts)
    graft.judged(start, f"{folder}/test.csv", f"{folder}/start-test.csv")
    degrees = lambda trained, name: peer.answers(trained, images[name]) * deviation + mean
    error = lambda trained, name: float(np.abs(degrees(trained, name) - truth[name]).mean())
    off = check_start(degrees(network, "test"), column(f"{folder}/start-test.csv", ["predicted_angle"]))

    def judge(trained):
        found = degrees(trained, "val") - truth["val"]
        say(f"torch: validation MAE {np.abs(found).mean():.3f}")
        return -float(np.abs(found).mean()), -float((found**2).mean())

    begin = time.perf_counter()
    judged = peer.train(network, images["train"], (truth["train"] - mean) / deviation, peer.mse(), args, seed, judge)
    peer_s = time.perf_counter() - begin
    theirs = {"MAE": error(network, "test"), "MAE of the mean": float(np.abs(truth["test"] - mean).mean())}
    model, seconds, history = graft_trained(args, graft, folder, "regress", seed)
    own = {"MAE": graft.judged(model, f"{folder}/test.csv")["mae"]}
    own["MAE of the mean"] = own["MAE"]
    return own, theirs, {"graft_s": seconds, "peer_s": peer_s, "start_differs_by": off, "graft_epochs": history, "peer_epochs": judged}


def bar_of(measure, own, peer):
    """What is asked for, and whether it is met."""
    if measure == "MAE":
        return "<= 1.05 x PyTorch's", own <= 1.05 * peer
    if measure == "MAE of the mean":
        return "< 1/3 of always the mean's", own < peer / 3
    return "not below", own >= peer


def table(file):
    """Means over the seeds of each part, with the newest figure of each seed."""
    rows, groups = {}, {}
    with open(file) as lines:
        for row in map(json.loads, lines):
            rows[row["figure"], row["images"], row["epochs"], row["seed"]] = row
    for (figure, images, epochs, _), row in rows.items():
        groups.setdefault((figure, images, epochs), []).append(row)
    print("| part | images (train, val, test) | epochs | seeds | measure | graft | peer | difference [per seed] | bar | met |")
    print("|---|---|--:|--:|---|--:|--:|---|---|---|")
    for (figure, images, epochs), seeds in groups.items():
        part, measure = figure.split("/")
        own, theirs = (sum(row[side] for row in seeds) / len(seeds) for side in ("graft", "peer"))
        bar, met = bar_of(measure, own, theirs)
        each = ", ".join(f"{row['graft'] - row['peer']:+.4f}" for row in seeds)
        print(f"| {part} | {images} | {epochs} | {len(seeds)} | {measure} | {own:.4f} | {theirs:.4f} | {own - theirs:+.4f} [{each}] | {bar} "
              f"| {'yes' if met else 'NO'} |")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--graft", required=True, help="the graft command")
    ap.add_argument("--backbone", required=True, help="weights of a ResNet-18 without classifier")
    ap.add_argument("--fashion", required=True, help="folder of Fashion-MNIST's four IDX files")
    ap.add_argument("--work", required=True, help="folder for data, runs and figures")
    ap.add_argument("--only", choices=KINDS, nargs="*", default=list(KINDS))
    ap.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    ap.add_argument("--images", type=int, nargs=3, default=[2000, 500, 1000], help="training, validation and test images")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--epochs", type=int, default=8, help="of all layers trained; so are the following")
    ap.add_argument("--batch", type=int, default=32)
    ap.add_argument("--lr", type=float, default=0.01)
    ap.add_argument("--momentum", type=float, default=0.9)
    ap.add_argument("--weight-decay", type=float, default=1e-4)
    ap.add_argument("--warmup", type=int, default=1)
    args = ap.parse_args()
    import_all(args.threads)
    graft, figures = Graft(args), f"{args.work}/tasks.jsonl"
    for seed in args.seeds:
        for part in args.only:
            folder = f"{args.work}/{part}-{seed}"
            parts = data.make(KINDS[part], args.fashion, folder, args.images, seed)
            own, theirs, more = globals()[part](args, graft, parts, folder, seed)
            for measure in own:
                row = {"figure": f"{part}/{measure}", "seed": seed, "graft": own[measure], "peer": theirs[measure],
                       "images": "{:,}, {:,}, {:,}".format(*args.images), "epochs": "-" if part == "frozen" else args.epochs, **more}
                with open(figures, "a") as file:
                    file.write(json.dumps(row) + "\n")
                say(f"{row['figure']} seed {seed}: graft {own[measure]:.4f}, peer {theirs[measure]:.4f}, "
                    f"{more['graft_s']:.0f} and {more['peer_s']:.0f} s")
    table(figures)


def import_all(threads):
    """What reads the number of threads when it is imported."""
    set_threads_env(threads)
    global np, data, peer, average_precision_score, f1_score, StandardScaler, OneVsRestClassifier, LogisticRegression
    import numpy as np
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score, f1_score
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import StandardScaler

    import tasks_data as data
    import tasks_torch as peer
    torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
