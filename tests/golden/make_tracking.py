"""Writes tests/data/tracks/: made sequences, what py-motmetrics and TrackEval say of them, and what the authors' SORT and ByteTrack make of their boxes.

Needs numpy, scipy, motmetrics 1.4.0, trackeval 1.3.0; and for the trackers filterpy, lap and a folder that holds sort.py of github.com/abewley/sort
(2236dff) and byte_tracker.py, basetrack.py, matching.py, kalman_filter.py of github.com/ifzhang/ByteTrack's yolox/tracker (d1bf019).
Run in this folder: python make_tracking.py FOLDER
"""
import json
import pathlib
import sys
import types

import numpy as np

np.asfarray = lambda a: np.asarray(a, dtype=float)  # what NumPy 2 lacks
np.float = float
out = pathlib.Path("../data/tracks")


def made(seed, frames, objects, noise, missed, low, wrong):
    """truth: rows of frame, id, left, top, width, height; boxes: rows of frame, left, top, right, bottom, score."""
    rng = np.random.default_rng(seed)
    truth, boxes = [], []
    for i in range(objects):
        first, last = rng.integers(1, frames // 3), rng.integers(2 * frames // 3, frames + 1)
        x, y = rng.uniform(20, 280), rng.uniform(20, 180)
        vx, vy = rng.uniform(-4, 4), rng.uniform(-3, 3)
        w, h = rng.uniform(18, 40), rng.uniform(24, 60)
        for frame in range(first, last + 1):
            truth.append([frame, i + 1, round(x, 2), round(y, 2), round(w, 2), round(h, 2)])
            if rng.uniform() > missed:
                jitter = rng.normal(0, noise, 4)
                score = rng.uniform(0.15, 0.49) if rng.uniform() < low else rng.uniform(0.62, 0.99)
                left, top = x + jitter[0], y + jitter[1]
                boxes.append([frame, left, top, left + w + jitter[2], top + h + jitter[3], score])
            x, y = x + vx, y + vy
    for frame in range(1, frames + 1):
        for _ in range(rng.poisson(wrong)):
            left, top = rng.uniform(0, 280), rng.uniform(0, 180)
            boxes.append([frame, left, top, left + rng.uniform(10, 50), top + rng.uniform(10, 50), rng.uniform(0.12, 0.8)])
    boxes = [[b[0]] + [round(v, 2) for v in b[1:5]] + [round(b[5], 3)] for b in boxes]
    return sorted(truth), sorted(boxes)


def mot(rows, name):
    (out / name).write_text("".join(",".join(f"{v:g}" if isinstance(v, int) or v == int(v) else repr(float(v)) for v in row) + "\n" for row in rows))


def sort_tracks(folder, boxes, frames):
    for name in ["matplotlib", "matplotlib.pyplot", "matplotlib.patches", "skimage", "skimage.io"]:
        sys.modules[name] = types.ModuleType(name)
    sys.modules["matplotlib"].use = lambda name: None
    sys.modules["matplotlib"].pyplot = sys.modules["matplotlib.pyplot"]
    sys.modules["matplotlib"].patches = sys.modules["matplotlib.patches"]
    sys.modules["skimage"].io = sys.modules["skimage.io"]
    sys.path.insert(0, folder)
    import sort
    from scipy.optimize import linear_sum_assignment
    sort.linear_assignment = lambda cost: np.array(list(zip(*linear_sum_assignment(cost))))
    tracker, rows = sort.Sort(), []
    for frame in range(1, frames + 1):
        own = np.array([b[1:] for b in boxes if b[0] == frame]).reshape(-1, 5)
        for t in tracker.update(own):
            rows.append([frame, int(t[4])] + [round(float(v), 6) for v in t[:4]])
    return rows


def byte_tracks(folder, boxes, frames):
    torch = types.ModuleType("torch")
    torch.nn = types.ModuleType("torch.nn")
    torch.nn.functional = types.ModuleType("torch.nn.functional")
    overlaps = types.ModuleType("cython_bbox")

    def bbox_overlaps(a, b):  # cython_bbox counts pixels, + 1; numbers here, as everywhere in graft
        low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
        both = np.prod(np.maximum(high - low, 0), -1)
        area = lambda x: (x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1])
        return both / (area(a)[:, None] + area(b)[None] - both)

    overlaps.bbox_overlaps = bbox_overlaps
    package, tracker_package = types.ModuleType("yolox"), types.ModuleType("tracker")
    tracker_package.__path__ = [folder]
    sys.modules.update({"torch": torch, "torch.nn": torch.nn, "torch.nn.functional": torch.nn.functional, "cython_bbox": overlaps,
                        "yolox": package, "yolox.tracker": tracker_package})
    import importlib
    tracker_package.kalman_filter = importlib.import_module("yolox.tracker.kalman_filter")
    tracker_package.matching = importlib.import_module("yolox.tracker.matching")
    byte_tracker = importlib.import_module("yolox.tracker.byte_tracker")
    options = types.SimpleNamespace(track_thresh=0.5, track_buffer=30, match_thresh=0.8, mot20=False)
    tracker, rows = byte_tracker.BYTETracker(options), []
    for frame in range(1, frames + 1):
        own = np.array([b[1:] for b in boxes if b[0] == frame]).reshape(-1, 5)
        for t in tracker.update(own, (1, 1), (1, 1)):
            rows.append([frame, int(t.track_id)] + [round(float(v), 6) for v in t.tlbr])
    return rows


def scores(truth, found):
    """truth, found: rows of frame, id, left, top, width, height."""
    import motmetrics
    import pandas
    from trackeval.datasets._base_dataset import _BaseDataset
    from trackeval.metrics import HOTA

    def frame_table(rows):
        table = pandas.DataFrame(rows, columns=["FrameId", "Id", "X", "Y", "Width", "Height"])
        return table.set_index(["FrameId", "Id"])

    names = ["mota", "motp", "idf1", "idp", "idr", "idtp", "idfp", "idfn", "num_matches", "num_switches", "num_false_positives", "num_misses",
             "num_fragmentations", "mostly_tracked", "partially_tracked", "mostly_lost", "num_objects", "num_predictions"]
    accumulator = motmetrics.utils.compare_to_groundtruth(frame_table(truth), frame_table(found), "iou", distth=0.5)
    table = motmetrics.metrics.create().compute(accumulator, metrics=names, name="all")
    result = {name: float(table[name].iloc[0]) for name in names}
    ids = {k: {v: i for i, v in enumerate(sorted({r[1] for r in rows}))} for k, rows in [("t", truth), ("f", found)]}
    data = dict(gt_ids=[], tracker_ids=[], similarity_scores=[], num_gt_ids=len(ids["t"]), num_tracker_ids=len(ids["f"]), num_gt_dets=len(truth),
                num_tracker_dets=len(found))
    for frame in sorted({r[0] for r in truth + found}):
        a, b = [r for r in truth if r[0] == frame], [r for r in found if r[0] == frame]
        data["gt_ids"].append(np.array([ids["t"][r[1]] for r in a], dtype=int))
        data["tracker_ids"].append(np.array([ids["f"][r[1]] for r in b], dtype=int))
        data["similarity_scores"].append(_BaseDataset._calculate_box_ious(np.array([r[2:] for r in a], dtype=float).reshape(-1, 4),
                                                                          np.array([r[2:] for r in b], dtype=float).reshape(-1, 4), box_format="xywh"))
    hota = HOTA().eval_sequence(data)
    result.update({name: float(np.mean(hota[name])) for name in ["HOTA", "DetA", "AssA", "LocA", "DetRe", "DetPr", "AssRe", "AssPr"]})
    result["HOTA_at"] = [float(v) for v in hota["HOTA"]]
    return result


def odd_tracks(seed, truth, frames):
    """Tracks with every fault: switches, swaps, gaps, drift, boxes of nothing, frames without any."""
    rng = np.random.default_rng(seed)
    rows, names, wrong = [], {}, 100
    for frame, i, left, top, width, height in truth:
        if rng.uniform() < 0.04:
            names[i] = max([*names.values(), 20]) + 1
        if rng.uniform() < 0.2 or frame % 13 == 0:
            continue
        shift = rng.normal(0, 3 + 3 * (i % 3), 2)
        rows.append([frame, names.get(i, i), round(left + shift[0], 2), round(top + shift[1], 2), round(width * rng.uniform(0.8, 1.2), 2), height])
    ids = sorted({r[1] for r in rows})
    for row in rows:  # two swap their names for good
        if row[0] > frames // 2 and row[1] in ids[:2]:
            row[1] = ids[1] if row[1] == ids[0] else ids[0]
    for frame in range(1, frames + 1, 3):
        wrong += frame % 2
        rows.append([frame, wrong, round(rng.uniform(0, 300), 2), round(rng.uniform(0, 200), 2), 30.0, 40.0])
    seen, kept = set(), []
    for row in sorted(rows):
        if (row[0], row[1]) not in seen:
            kept.append(row)
        seen.add((row[0], row[1]))
    return kept


def main():
    out.mkdir(exist_ok=True)
    goldens = {}
    for name, seed, frames, objects in [("a", 1, 40, 7), ("b", 2, 60, 12)]:
        truth, boxes = made(seed, frames, objects, 1.2, 0.12, 0.2, 0.6)
        found = odd_tracks(seed + 10, truth, frames)
        mot([[*t, 1, 1, 1] for t in truth], f"{name}_gt.txt")
        mot([[b[0], -1, b[1], b[2], round(b[3] - b[1], 2), round(b[4] - b[2], 2), b[5], -1, -1, -1] for b in boxes], f"{name}_det.txt")
        mot([[*f, 1, -1, -1, -1] for f in found], f"{name}_tracks.txt")
        boxes = [[b[0], b[1], b[2], b[1] + round(b[3] - b[1], 2), b[2] + round(b[4] - b[2], 2), b[5]] for b in boxes]
        goldens[name] = {"scores": scores(truth, found), "frames": frames, "sort": sort_tracks(sys.argv[1], boxes, frames),
                         "bytetrack": byte_tracks(sys.argv[1], boxes, frames)}
        for tracker in ["sort", "bytetrack"]:
            own = [[r[0], r[1], r[2], r[3], r[4] - r[2], r[5] - r[3]] for r in goldens[name][tracker]]
            print(name, tracker, {k: v for k, v in scores(truth, own).items() if k in ("mota", "idf1", "HOTA")})
    (out / "goldens.json").write_text(json.dumps(goldens, separators=(",", ":"), sort_keys=True) + "\n")


main()
