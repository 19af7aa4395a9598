#include "graft/train/tasks/detection/average_precision.h"

#include <algorithm>

namespace graft::train {
namespace {

constexpr double kAlmost = 1 - 1e-10;               // pycocotools' highest bound of an overlap
constexpr double kSpacing = 2.220446049250313e-16;  // numpy.spacing(1)

// The places of an image's boxes of a class, the highest score first, of equals the first.
std::vector<size_t> found_of(const JudgedImage& image, int64_t label) {
  std::vector<size_t> order;
  for (size_t i = 0; i < image.found.size(); ++i)
    if (image.found[i].label == label) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return image.found[a].score > image.found[b].score; });
  return order;
}

// Of a crowd: the share of the box that lies in it.
double coco_overlap(const io::Box& found, const io::LabelledBox& object) {
  const double both = io::intersection(found, object.box);
  if (both <= 0) return 0;
  return both / (object.crowd ? found.area() : found.area() + object.box.area() - both);
}

struct CocoObject {
  const io::LabelledBox* object;
  bool is_ignored, is_taken;
};

std::vector<CocoObject> objects_of(const JudgedImage& image, int64_t label, AreaRange areas) {
  std::vector<CocoObject> objects;
  for (const io::LabelledBox& object : image.truth) {
    if (object.label != label) continue;
    const double area = object.area > 0 ? object.area : object.box.area();
    objects.push_back(
        {&object, !object.counts() || area < areas.least || area > areas.most, false});
  }
  std::stable_partition(objects.begin(), objects.end(),
                        [](const CocoObject& o) { return !o.is_ignored; });
  return objects;
}

// The object for a box; those that count before the others.
CocoObject* object_for(const io::Box& box, std::vector<CocoObject>& objects, double bound) {
  CocoObject* best = nullptr;
  double highest = std::min(bound, kAlmost);
  for (CocoObject& o : objects) {
    if (o.is_taken && !o.object->crowd) continue;
    if (best && !best->is_ignored && o.is_ignored) break;
    const double by = coco_overlap(box, *o.object);
    if (by < highest) continue;
    highest = by;
    best = &o;
  }
  return best;
}

struct Curve {
  std::vector<double> recall{}, precision{};  // after each box; the precision never rises
};

Curve curve_of(const Matches& matches, double spacing) {
  std::vector<Match> found = matches.found;
  std::stable_sort(found.begin(), found.end(),
                   [](const Match& a, const Match& b) { return a.score > b.score; });
  Curve curve;
  double right = 0, all = 0;
  for (const Match& match : found) {
    right += match.is_right;
    ++all;
    curve.recall.push_back(right / static_cast<double>(matches.objects));
    curve.precision.push_back(right / (all + spacing));
  }
  for (size_t i = curve.precision.size(); i-- > 1;)
    curve.precision[i - 1] = std::max(curve.precision[i - 1], curve.precision[i]);
  return curve;
}

// At recalls 0 ... 1 the precision where the recall is reached, 0 where it is not. The recalls are
// numpy's to the last bit, as the bounds below: objects are few, and ties common.
std::vector<double> at_recalls(const Curve& curve, int steps) {
  std::vector<double> precisions;
  for (int i = 0; i <= steps; ++i) {
    const auto at = std::lower_bound(curve.recall.begin(), curve.recall.end(),
                                     i * (1.0 / static_cast<double>(steps)));
    precisions.push_back(at == curve.recall.end()
                             ? 0
                             : curve.precision[static_cast<size_t>(at - curve.recall.begin())]);
  }
  return precisions;
}

double mean_of_known(const std::vector<double>& values) {
  double sum = 0;
  int64_t known = 0;
  for (const double value : values) {
    if (value < 0) continue;
    sum += value;
    ++known;
  }
  return known > 0 ? sum / static_cast<double>(known) : 0;
}

}  // namespace

Matches coco_matches(std::span<const JudgedImage> images, int64_t label, double bound, int64_t most,
                     AreaRange areas) {
  Matches matches;
  for (const JudgedImage& image : images) {
    std::vector<CocoObject> objects = objects_of(image, label, areas);
    for (const CocoObject& o : objects) matches.objects += !o.is_ignored;
    std::vector<size_t> order = found_of(image, label);
    if (std::ssize(order) > most) order.resize(static_cast<size_t>(most));
    for (const size_t i : order) {
      const FoundBox& found = image.found[i];
      CocoObject* object = object_for(found.box, objects, bound);
      if (object) object->is_taken = true;
      const double area = found.box.area();
      if (object ? object->is_ignored : area < areas.least || area > areas.most) continue;
      matches.found.push_back({found.score, object != nullptr});
    }
  }
  return matches;
}

Matches voc_matches(std::span<const JudgedImage> images, int64_t label, double bound) {
  Matches matches;
  for (const JudgedImage& image : images) {
    std::vector<const io::LabelledBox*> objects;
    for (const io::LabelledBox& object : image.truth)
      if (object.label == label) objects.push_back(&object);
    for (const io::LabelledBox* object : objects) matches.objects += object->counts();
    std::vector<bool> is_taken(objects.size());
    for (const size_t i : found_of(image, label)) {
      const FoundBox& found = image.found[i];
      double highest = 0;
      size_t best = objects.size();
      for (size_t k = 0; k < objects.size(); ++k)
        if (const double by = io::overlap(found.box, objects[k]->box); by > highest) {
          highest = by;
          best = k;
        }
      const bool is_there = best < objects.size() && highest >= bound;
      if (is_there && !objects[best]->counts()) continue;
      matches.found.push_back({found.score, is_there && !is_taken[best]});
      if (is_there) is_taken[best] = true;
    }
  }
  return matches;
}

std::vector<double> precisions_at_recalls(const Matches& matches) {
  if (matches.objects == 0) return {};
  return at_recalls(curve_of(matches, kSpacing), 100);
}

double coco_average_precision(const Matches& matches) {
  return matches.objects == 0 ? -1 : mean_of_known(precisions_at_recalls(matches));
}

double voc_average_precision(const Matches& matches) {
  if (matches.objects == 0) return -1;
  const Curve curve = curve_of(matches, 0);
  double area = 0, before = 0;
  for (size_t i = 0; i < curve.recall.size(); ++i) {
    area += (curve.recall[i] - before) * curve.precision[i];
    before = curve.recall[i];
  }
  return area;
}

double voc07_average_precision(const Matches& matches) {
  return matches.objects == 0 ? -1 : mean_of_known(at_recalls(curve_of(matches, 0), 10));
}

double recall(const Matches& matches) {
  if (matches.objects == 0) return -1;
  const auto right = std::count_if(matches.found.begin(), matches.found.end(),
                                   [](const Match& match) { return match.is_right; });
  return static_cast<double>(right) / static_cast<double>(matches.objects);
}

PrecisionSummary average_precisions(std::span<const JudgedImage> images, int64_t classes) {
  PrecisionSummary summary;
  std::vector<double> of_class_07, of_class_50, of_class_75, recalls;
  for (int64_t label = 0; label < classes; ++label) {
    std::vector<double> of_bound;
    for (int i = 0; i < 10; ++i) {
      const Matches matches = coco_matches(images, label, 0.5 + i * ((0.95 - 0.5) / 9));
      if (i == 0) summary.curve_of_class.push_back(precisions_at_recalls(matches));
      of_bound.push_back(coco_average_precision(matches));
      recalls.push_back(recall(matches));
    }
    of_class_50.push_back(of_bound[0]);
    of_class_75.push_back(of_bound[5]);
    summary.ap_of_class.push_back(of_bound[0] < 0 ? -1 : mean_of_known(of_bound));
    const Matches matches = voc_matches(images, label, 0.5);
    summary.voc50_of_class.push_back(voc_average_precision(matches));
    of_class_07.push_back(voc07_average_precision(matches));
  }
  summary.ap = mean_of_known(summary.ap_of_class);
  summary.ap50 = mean_of_known(of_class_50);
  summary.ap75 = mean_of_known(of_class_75);
  summary.recall100 = mean_of_known(recalls);
  summary.voc50 = mean_of_known(summary.voc50_of_class);
  summary.voc07_50 = mean_of_known(of_class_07);
  return summary;
}

double best_confidence(std::span<const JudgedImage> images, int64_t classes) {
  std::vector<Match> found;
  int64_t objects = 0;
  for (int64_t label = 0; label < classes; ++label) {
    const Matches matches = coco_matches(images, label, 0.5);
    found.insert(found.end(), matches.found.begin(), matches.found.end());
    objects += matches.objects;
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Match& a, const Match& b) { return a.score > b.score; });
  double best = 0, confidence = 0.5, right = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    right += found[i].is_right;
    if (i + 1 < found.size() && found[i + 1].score == found[i].score) continue;
    const double f1 = 2 * right / (static_cast<double>(i + 1) + static_cast<double>(objects));
    if (f1 <= best) continue;
    best = f1;
    confidence = found[i].score;
  }
  return confidence;
}

}  // namespace graft::train
