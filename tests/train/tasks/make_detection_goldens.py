"""Writes detection_goldens.h: what pycocotools, torchvision's NMS and Girshick's voc_eval say of made-up boxes.

    python3 tests/train/tasks/make_detection_goldens.py > tests/train/tasks/detection_goldens.h
"""
import contextlib
import io

import numpy as np
import torch
import torchvision
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

IMAGES, CLASSES = 7, 3
rng = np.random.default_rng(17)


def array(kind, name, values):
    flat = ", ".join(repr(v) for v in np.asarray(values).ravel().tolist())
    print(f"inline const std::vector<{kind}> {name} = {{{flat}}};")


def box():
    left, top = rng.integers(0, 300, 2) / 4
    return [left, top, left + rng.integers(20, 160) / 4, top + rng.integers(20, 160) / 4]


truth, found = [], []
for image in range(IMAGES):
    for _ in range(rng.integers(0, 7)):
        truth.append([image, int(rng.integers(0, CLASSES)), *box(), int(rng.random() < 0.15)])
for image, label, left, top, right, bottom, _ in truth:  # near to an object, often twice
    for _ in range(rng.integers(0, 4)):
        shift = rng.integers(-12, 13, 4) / 4
        if rng.random() < 0.2:
            label = int(rng.integers(0, CLASSES))
        found.append([image, label, int(rng.integers(8, 64)) / 64, left + shift[0], top + shift[1],
                      max(right + shift[2], left + shift[0] + 1), max(bottom + shift[3], top + shift[1] + 1)])
for image in range(IMAGES):
    for _ in range(3):
        found.append([image, int(rng.integers(0, CLASSES)), int(rng.integers(1, 40)) / 64, *box()])


def coco_stats(area_range=None):
    coco = COCO()
    coco.dataset = {"images": [{"id": i + 1} for i in range(IMAGES)],
                    "categories": [{"id": c + 1, "name": str(c)} for c in range(CLASSES)],
                    "annotations": [{"id": n + 1, "image_id": t[0] + 1, "category_id": t[1] + 1, "iscrowd": t[6],
                                     "bbox": [t[2], t[3], t[4] - t[2], t[5] - t[3]],
                                     "area": (t[4] - t[2]) * (t[5] - t[3])} for n, t in enumerate(truth)]}
    coco.createIndex()
    results = coco.loadRes([{"image_id": f[0] + 1, "category_id": f[1] + 1, "score": f[2],
                             "bbox": [f[3], f[4], f[5] - f[3], f[6] - f[4]]} for f in found])
    evaluation = COCOeval(coco, results, "bbox")
    if area_range:
        evaluation.params.areaRng[1:] = [area_range] * 3
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


def voc(label, bound, is_07):
    """py-faster-rcnn's voc_eval without its +1 pixel, and with >= for >, as the devkit has it."""
    objects = {i: [t for t in truth if t[0] == i and t[1] == label] for i in range(IMAGES)}
    npos = sum(not t[6] for ts in objects.values() for t in ts)
    taken = set()
    order = sorted((f for f in found if f[1] == label), key=lambda f: (-f[2], f[0]))  # stable
    tp, fp = np.zeros(len(order)), np.zeros(len(order))
    for d, (image, _, _, l, t, r, b) in enumerate(order):
        best, at = -np.inf, None
        for n, o in enumerate(objects[image]):
            w, h = max(min(r, o[4]) - max(l, o[2]), 0), max(min(b, o[5]) - max(t, o[3]), 0)
            both = w * h
            over = both / ((r - l) * (b - t) + (o[4] - o[2]) * (o[5] - o[3]) - both)
            if over > best:
                best, at = over, n
        if best >= bound:
            if objects[image][at][6]:
                continue
            if (image, at) in taken:
                fp[d] = 1
            else:
                tp[d] = 1
                taken.add((image, at))
        else:
            fp[d] = 1
    fp, tp = np.cumsum(fp), np.cumsum(tp)
    rec, prec = tp / npos, tp / np.maximum(tp + fp, np.finfo(np.float64).eps)
    if is_07:
        return float(sum((np.max(prec[rec >= t]) if np.sum(rec >= t) else 0) / 11 for t in np.arange(0., 1.1, 0.1)))
    mrec, mpre = np.concatenate(([0.], rec, [1.])), np.concatenate(([0.], prec, [0.]))
    for i in range(mpre.size - 1, 0, -1):
        mpre[i - 1] = np.maximum(mpre[i - 1], mpre[i])
    i = np.where(mrec[1:] != mrec[:-1])[0]
    return float(np.sum((mrec[i + 1] - mrec[i]) * mpre[i + 1]))


with contextlib.redirect_stdout(io.StringIO()):
    plain, large = coco_stats(), coco_stats([500, 1e10])
torch.manual_seed(17)
corners = torch.rand(60, 2) * 40
boxes = torch.cat([corners, corners + 5 + torch.rand(60, 2) * 30], 1)
scores, kinds = torch.randint(1, 30, (60,)).float() / 32, torch.randint(0, CLASSES, (60,))
order = scores.sort(descending=True, stable=True).indices
boxes, scores, kinds = boxes[order], scores[order], kinds[order]  # equal scores: the first in order first

print("// What pycocotools, torchvision " + torchvision.__version__ +
      " and voc_eval say of made-up boxes:\n// made by make_detection_goldens.py.")
print("#pragma once\n#include <cstdint>\n#include <vector>\n\n// clang-format off\nnamespace graft::train::goldens {\n")
print(f"inline constexpr int kBoxImages = {IMAGES}, kBoxClasses = {CLASSES};")
print("// image, label, left, top, right, bottom, crowd; image, label, score, left, top, right, bottom")
array("double", "kTruthBoxes", np.array(truth, float))
array("double", "kFoundBoxes", np.array(found, float))
print(f"inline constexpr double kCocoAp = {float(plain.stats[0])!r}, kCocoAp50 = {float(plain.stats[1])!r}, "
      f"kCocoAp75 = {float(plain.stats[2])!r}, kCocoRecall100 = {float(plain.stats[8])!r};")
per_class = plain.eval["precision"][:, :, :, 0, 2]
array("double", "kCocoApOfClass", [float(np.mean(p[p > -1])) for p in per_class.transpose(2, 0, 1)])
of_large = large.eval["precision"][0, :, :, 1, 2]
array("double", "kCocoAp50OfLarge", [float(np.mean(p)) for p in of_large.T])
array("double", "kVoc50OfClass", [voc(c, 0.5, False) for c in range(CLASSES)])
array("double", "kVoc0750OfClass", [voc(c, 0.5, True) for c in range(CLASSES)])
array("float", "kNmsBoxes", boxes.double())
array("float", "kNmsScores", scores.double())
array("int64_t", "kNmsClasses", kinds)
array("int64_t", "kNmsKept", torchvision.ops.nms(boxes, scores, 0.45))
array("int64_t", "kNmsKeptByClass", torchvision.ops.batched_nms(boxes, scores, kinds, 0.45))
print("\n}  // namespace graft::train::goldens\n// clang-format on")
