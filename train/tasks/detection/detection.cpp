#include "graft/train/tasks/detection/detection.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "graft/core/autograd/record.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/io/datasets/class_names.h"
#include "graft/train/tasks/detection/box_maps.h"
#include "graft/train/tasks/detection/box_presentation.h"
#include "graft/train/tasks/shown.h"

namespace graft::train {
namespace {

constexpr double kStartingShare = 0.01;  // of the classes' probabilities, as in focal loss's paper
constexpr double kStartingEdge = 4;      // strides from a place to its box's edges
constexpr double kVisibleShare = 0.25;   // of a box, at least
const char* const kBoxOutputs[] = {"left", "top", "right", "bottom", "fit"};

std::vector<std::string> all_named(std::vector<std::string> names, int64_t classes) {
  for (int64_t c = std::ssize(names); c < classes; ++c) names.push_back(str("class ", c));
  return names;
}

std::vector<ScoreKind> box_scores(const std::vector<std::string>& names) {
  constexpr double most = std::numeric_limits<double>::max();
  std::vector<ScoreKind> kinds{
      {"map50", 0, 1, true},          {"loss", 0, most, false},    {"map", 0, 1, true},
      {"map75", 0, 1, true},          {"voc07_map50", 0, 1, true}, {"recall100", 0, 1, true},
      {"count_error", 0, most, false}};
  for (const std::string& name : told_apart(names)) kinds.push_back({"ap50_" + name, 0, 1, true});
  return kinds;
}

// Rows and columns of places in an input.
std::pair<int64_t, int64_t> places_of(const io::Preprocess& preprocess) {
  const int64_t height = preprocess.size, width = preprocess.input_width();
  GRAFT_CHECK(!preprocess.own_scale,
              "--resize window: is for task segment; objects may lie across windows");
  GRAFT_CHECK(height % kPlaceStride == 0 && width % kPlaceStride == 0, "detect: an input of ",
              height, "x", width, ", expected sides that ", kPlaceStride,
              " divides (--image-size)");
  return {height / kPlaceStride, width / kPlaceStride};
}

// An image's objects as a view of it shows them: those to be looked for first; the others, of which
// too little is to be seen, are difficult.
struct SeenObjects {
  std::vector<io::LabelledBox> looked_for{}, others{};
};

SeenObjects seen_objects(const io::BoxedImage& image, const io::InputGeometry& geometry,
                         double width, double height) {
  SeenObjects seen;
  for (io::LabelledBox own : image.boxes) {
    const io::Box placed = geometry.placed(own.box, width);
    own.box = io::clipped(placed, width, height);
    if (own.box.area() <= 0) continue;
    if (own.box.area() >= kVisibleShare * placed.area() && own.box.width() >= 1 &&
        own.box.height() >= 1) {
      seen.looked_for.push_back(own);
    } else {
      own.difficult = true;
      seen.others.push_back(own);
    }
  }
  return seen;
}

void write_objects(const SeenObjects& seen, float* row) {
  for (const auto* objects : {&seen.looked_for, &seen.others})
    for (const io::LabelledBox& own : *objects) {
      const double numbers[kObjectNumbers] = {own.box.left,
                                              own.box.top,
                                              own.box.right,
                                              own.box.bottom,
                                              static_cast<double>(own.label),
                                              own.crowd       ? 2.0
                                              : own.difficult ? 1.0
                                                              : 0.0,
                                              own.area};
      for (const double number : numbers) *row++ = static_cast<float>(number);
    }
}

// No places find anything, and there are no objects.
Targets no_objects(int64_t samples, int64_t rows, int64_t columns, int64_t boxes) {
  Targets targets;
  targets.tensors.push_back(Tensor::empty({samples, 5, rows, columns}));
  targets.tensors.push_back(Tensor::empty({samples, std::max<int64_t>(boxes, 1), kObjectNumbers}));
  float* places = targets.tensors[0].mutable_data<float>();
  for (int64_t i = 0; i < samples; ++i)
    assign_places({}, rows, columns, places + i * 5 * rows * columns);
  Tensor& objects = targets.tensors[1];
  std::fill_n(objects.mutable_data<float>(), objects.numel(), -1.0f);
  return targets;
}

}  // namespace

Detection::Detection(int64_t classes, DetectionOptions options)
    : classes_(classes), options_(std::move(options)), loss_(classes) {
  GRAFT_CHECK(options_.confidence > 0 && options_.confidence < 1, "detect: a confidence of ",
              options_.confidence, " is not between 0 and 1");
  options_.names = all_named(std::move(options_.names), classes);
  GRAFT_CHECK(std::ssize(options_.names) == classes, "detect: ", options_.names.size(),
              " names of ", classes, " classes");
  scores_ = box_scores(options_.names);
}

int64_t Detection::outputs() const { return classes_ + kBoxMaps; }

HeadPlan Detection::head() const {
  HeadPlan plan{outputs(), "fcos", {}};
  plan.bias.assign(static_cast<size_t>(classes_),
                   static_cast<float>(std::log(kStartingShare / (1 - kStartingShare))));
  plan.bias.insert(plan.bias.end(), 4, static_cast<float>(std::log(kStartingEdge)));
  plan.bias.push_back(0);
  return plan;
}

std::shared_ptr<const io::Dataset> Detection::to_judge(
    const io::OpenedData& data, const std::string& path,
    const std::function<void(const std::string&)>& note) const {
  GRAFT_CHECK(data.answers == io::AnswerKind::boxes, path,
              ": holds no boxes, which the model is judged by");
  const auto found = io::matched_classes(data.classes, options_.names);
  std::vector<std::string> unknown;
  for (size_t i = 0; i < found.size(); ++i)
    if (found[i] < 0) unknown.push_back(data.classes[i]);
  GRAFT_CHECK(unknown.size() < found.size(), path, ": none of its classes (",
              io::short_list(data.classes),
              ") is one of the model's: ", io::short_list(options_.names));
  if (!unknown.empty())
    note("not judged: objects of classes that the model does not know: " + io::short_list(unknown));
  return io::boxes_relabelled(data.val, found);
}

Targets Detection::targets(const io::Dataset& dataset, std::span<const int64_t>) const {
  bad_input(dataset.name(0),
            ": its boxes have no place without the image's in the network's input");
}

Targets Detection::placed_targets(const io::Dataset& dataset, std::span<const int64_t> samples,
                                  const SampleViews& seen) const {
  const auto [rows, columns] = places_of(seen.preprocess);
  std::vector<SeenObjects> objects;
  int64_t most = options_.most_boxes;
  for (const int64_t sample : samples) {
    const io::BoxedImage image = dataset.boxes(sample);
    GRAFT_CHECK(image.width > 0, dataset.name(sample), ": its boxes are not known");
    objects.push_back(seen_objects(image, seen.geometry(sample, image.width, image.height),
                                   static_cast<double>(seen.preprocess.input_width()),
                                   static_cast<double>(seen.preprocess.size)));
    const SeenObjects& own = objects.back();
    most = std::max(most, std::ssize(own.looked_for) + std::ssize(own.others));
  }
  Targets targets = no_objects(std::ssize(samples), rows, columns, most);
  float *places = targets.tensors[0].mutable_data<float>(),
        *row = targets.tensors[1].mutable_data<float>();
  for (const SeenObjects& own : objects) {
    assign_places(own.looked_for, rows, columns, places);
    write_objects(own, row);
    places += 5 * rows * columns;
    row += targets.tensors[1].size(1) * kObjectNumbers;
  }
  return targets;
}

Targets Detection::made_up_targets(int64_t samples, const io::Preprocess& preprocess) const {
  const auto [rows, columns] = places_of(preprocess);
  return no_objects(samples, rows, columns, options_.most_boxes);
}

void Detection::check(const Targets& targets, const Shape& outputs) const {
  GRAFT_CHECK(targets.tensors.size() == 2, "detect: targets of ", targets.tensors.size(),
              " tensors");
  const Tensor &places = targets.tensors[0], &objects = targets.tensors[1];
  GRAFT_CHECK(outputs.rank() == 4 && outputs[1] == this->outputs() &&
                  places.shape() == Shape({outputs[0], 5, outputs[2], outputs[3]}) &&
                  objects.rank() == 3 && objects.size(0) == outputs[0] &&
                  objects.size(2) == kObjectNumbers,
              "detect: places ", places.shape(), " and objects ", objects.shape(), " for outputs ",
              outputs);
  const int64_t plane = outputs[2] * outputs[3];
  for (int64_t n = 0; n < outputs[0]; ++n)
    for (int64_t i = 0; i < plane; ++i) {
      const float label = places.data<float>()[n * 5 * plane + i];
      GRAFT_CHECK(label >= -1 && label < static_cast<float>(classes_), "detect: class ", label,
                  ", there are ", classes_);
    }
}

Tensor Detection::loss(const Tensor& outputs, const Targets& targets) const {
  return loss_.mean(outputs, targets.tensors.at(0));
}

double Detection::weight(const Targets& targets) const {
  const NoGradGuard no_grad;
  const Tensor places = BoxLoss(classes_).places(to_device(targets.tensors.at(0), {}));
  double sum = 0;
  for (int64_t n = 0; n < places.numel(); ++n) sum += static_cast<double>(places.data<float>()[n]);
  return sum;
}

std::unique_ptr<Metric> Detection::metric() const {
  return std::make_unique<BoxEvaluation>(classes_, options_.confidence);
}

double Detection::running_sum(const Tensor& outputs, const Targets& targets) const {
  const Tensor maps = to_device(outputs, {}).to(MemoryFormat::contiguous);
  const Tensor& places = targets.tensors.at(0);
  const int64_t plane = maps.size(2) * maps.size(3);
  double sum = 0;
  for (int64_t n = 0; n < maps.size(0); ++n) {
    const float *logits = maps.data<float>() + n * this->outputs() * plane,
                *labels = places.data<float>() + n * 5 * plane;
    int64_t there = 0, right = 0;
    for (int64_t i = 0; i < plane; ++i) {
      if (labels[i] < 0) continue;
      int64_t said = 0;
      for (int64_t c = 1; c < classes_; ++c)
        if (logits[c * plane + i] > logits[said * plane + i]) said = c;
      ++there;
      right += said == static_cast<int64_t>(labels[i]);
    }
    sum += there > 0 ? static_cast<double>(right) / static_cast<double>(there) : 1;
  }
  return sum;
}

TaskCard Detection::card() const {
  nlohmann::json j = nlohmann::json::object();
  j["name"] = name();
  j["classes"] = options_.names;
  j["confidence"] = options_.confidence;
  j["stride"] = kPlaceStride;
  std::vector<std::string> names = options_.names;
  for (const char* output : kBoxOutputs) names.emplace_back(output);
  return {.json = j.dump(), .names = std::move(names), .outputs = outputs(), .sigmoid = false};
}

bool Detection::take_head_of(const TaskCard& card) { return is_same_head(this->card(), card); }

std::shared_ptr<const Task> Detection::chosen_by(const Metric& validation) const {
  DetectionOptions options = options_;
  options.confidence =
      std::clamp(best_confidence(dynamic_cast<const BoxEvaluation&>(validation).images(), classes_),
                 0.01, 0.99);
  options.confidence_is_chosen = true;
  return std::make_shared<Detection>(classes_, std::move(options));
}

std::unique_ptr<Presentation> Detection::presentation() const {
  return std::make_unique<BoxPresentation>(*this, options_.names, options_.confidence,
                                           options_.confidence_is_chosen);
}

std::shared_ptr<Task> make_detection(const Recipe& recipe, const io::OpenedData& data) {
  GRAFT_CHECK(data.answers == io::AnswerKind::boxes,
              "task: detect takes images with boxes, these have none");
  GRAFT_CHECK(recipe.balance == "none",
              "balance: an image has objects of several classes, and the focal loss of task "
              "detect weighs the places by itself");
  GRAFT_CHECK(recipe.label_smoothing == 0, "label smoothing: is for task classify");
  GRAFT_CHECK(recipe.loss.empty(), "loss: '", recipe.loss,
              "' is not for task detect, which has one of its own");
  GRAFT_CHECK(recipe.decoder.empty(), "decoder: '", recipe.decoder,
              "' is not for task detect, which has one of its own");
  DetectionOptions options{.names = data.classes};
  for (const auto& part : {data.train, data.val, data.test})
    for (int64_t i = 0; part && i < part->size(); ++i)
      options.most_boxes = std::max(options.most_boxes, std::ssize(part->boxes(i).boxes));
  return std::make_shared<Detection>(std::ssize(data.classes), std::move(options));
}

std::shared_ptr<Task> detection_of(const TaskCard& card) {
  const auto j = nlohmann::json::parse(card.json, nullptr, false);
  const bool has_classes = j.is_object() && j.contains("classes") && j.at("classes").is_array();
  GRAFT_CHECK(has_classes, "the model card does not say what the classes of its boxes are");
  DetectionOptions options;
  for (const auto& own : j.at("classes")) {
    GRAFT_CHECK(own.is_string(), "the model card's classes have names that are none");
    options.names.push_back(own.get<std::string>());
  }
  const int64_t classes = std::ssize(options.names);
  GRAFT_CHECK(classes >= 1 && classes + kBoxMaps == card.outputs, "the model card has ", classes,
              " classes of boxes for ", card.outputs, " maps");
  const bool is_known = j.contains("stride") && j.at("stride") == kPlaceStride;
  GRAFT_CHECK(is_known, "the model card's boxes are not at stride ", kPlaceStride);
  if (j.contains("confidence")) {
    const auto& own = j.at("confidence");
    options.confidence = own.is_number() ? own.get<double>() : -1;
    options.confidence_is_chosen = true;
  }
  GRAFT_CHECK(options.confidence > 0 && options.confidence < 1,
              "the model card's confidence is not between 0 and 1");
  return std::make_shared<Detection>(classes, std::move(options));
}

}  // namespace graft::train
