#include "graft/train/tasks/segmentation/segmentation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "graft/core/tensor/device_backend.h"
#include "graft/io/datasets/class_names.h"
#include "graft/train/tasks/segmentation/map_presentation.h"
#include "graft/train/tasks/shown.h"

namespace graft::train {
namespace {

constexpr double kLeastShare = 1e-4;  // so that no output starts at infinity

std::vector<std::string> named_or_numbered(std::vector<std::string> names, int64_t classes) {
  for (int64_t c = std::ssize(names); c < classes; ++c) names.push_back(str("class ", c));
  return names;
}

std::vector<ScoreKind> score_kinds(const std::vector<std::string>& names) {
  std::vector<ScoreKind> kinds{
      {"dice", 0, 1, true},           {"loss", 0, std::numeric_limits<double>::max(), false},
      {"miou", 0, 1, true},           {"pixel_accuracy", 0, 1, true},
      {"dice_per_image", 0, 1, true}, {"miou_per_image", 0, 1, true}};
  if (names.size() == 2) {
    kinds.push_back({"iou", 0, 1, true});
    kinds.push_back({"auc", 0, 1, true});
  }
  for (const std::string& name : told_apart(names)) kinds.push_back({"iou_" + name, 0, 1, true});
  return kinds;
}

}  // namespace

Segmentation::Segmentation(int64_t classes, SegmentationOptions options)
    : classes_(classes),
      options_(std::move(options)),
      loss_(options_.loss, classes, options_.weight_of_class) {
  GRAFT_CHECK(classes < io::kIgnoredPixel, "segment: ", classes, " classes are too many");
  GRAFT_CHECK(options_.threshold > 0 && options_.threshold < 1, "segment: a threshold of ",
              options_.threshold, " is not between 0 and 1");
  options_.names = named_or_numbered(std::move(options_.names), classes);
  GRAFT_CHECK(std::ssize(options_.names) == classes, "segment: ", options_.names.size(),
              " names of ", classes, " classes");
  scores_ = score_kinds(options_.names);
}

HeadPlan Segmentation::head() const {
  HeadPlan plan{outputs(), options_.decoder, {}};
  const auto logit = [](double share) {
    const double p = std::clamp(share, kLeastShare, 1 - kLeastShare);
    return static_cast<float>(std::log(p / (1 - p)));
  };
  if (options_.shares.empty()) return plan;
  if (classes_ == 2) {
    plan.bias = {logit(options_.shares[1])};
  } else {
    for (const double share : options_.shares)
      plan.bias.push_back(static_cast<float>(std::log(std::max(share, kLeastShare))));
  }
  return plan;
}

std::shared_ptr<const io::Dataset> Segmentation::to_judge(
    const io::OpenedData& data, const std::string& path,
    const std::function<void(const std::string&)>& note) const {
  GRAFT_CHECK(data.answers == io::AnswerKind::maps, path,
              ": holds no masks, which the model is judged by");
  const auto found = io::matched_classes(data.classes, options_.names);
  std::vector<std::string> unknown;
  for (size_t i = 0; i < found.size(); ++i)
    if (found[i] < 0) unknown.push_back(data.classes[i]);
  GRAFT_CHECK(unknown.size() < found.size(), path, ": none of its classes (",
              io::short_list(data.classes),
              ") is one of the model's: ", io::short_list(options_.names));
  if (!unknown.empty())
    note("not judged: pixels of classes that the model does not know: " + io::short_list(unknown));
  return io::maps_relabelled(data.val, found);
}

Targets Segmentation::targets(const io::Dataset& dataset, std::span<const int64_t>) const {
  bad_input(dataset.name(0), ": its mask has no place without the image's in the network's input");
}

Targets Segmentation::placed_targets(const io::Dataset& dataset, std::span<const int64_t> samples,
                                     const SampleViews& seen) const {
  const int64_t height = seen.preprocess.size, width = seen.preprocess.input_width();
  Tensor masks = Tensor::empty({std::ssize(samples), height, width}, {.dtype = DType::u8});
  uint8_t* to = masks.mutable_data<uint8_t>();
  for (const int64_t sample : samples) {
    const io::Image map = dataset.map(sample);
    seen.geometry(sample, map.width, map.height).place_map(map, width, height, to);
    to += height * width;
  }
  Targets targets(masks);
  if (seen.preprocess.own_scale) {  // samples may be windows of images
    std::vector<int64_t> images;
    for (const int64_t sample : samples) images.push_back(dataset.whole(sample));
    targets.tensors.push_back(Tensor::of<int64_t>({std::ssize(samples)}, images));
  }
  return targets;
}

Targets Segmentation::made_up_targets(int64_t samples, const io::Preprocess& preprocess) const {
  return Tensor::zeros({samples, preprocess.size, preprocess.input_width()}, {.dtype = DType::u8});
}

void Segmentation::check(const Targets& targets, const Shape& outputs) const {
  const Tensor& masks = targets.tensors.at(0);
  GRAFT_CHECK(outputs.rank() == 4 && outputs[1] == this->outputs() &&
                  masks.shape() == Shape({outputs[0], outputs[2], outputs[3]}),
              "segment: masks ", masks.shape(), " for outputs ", outputs);
  const uint8_t* pixels = masks.data<uint8_t>();
  for (int64_t i = 0; i < masks.numel(); ++i)
    GRAFT_CHECK(pixels[i] < classes_ || pixels[i] == io::kIgnoredPixel,
                "segment: a pixel of class ", int{pixels[i]}, ", there are ", classes_);
}

Tensor Segmentation::loss(const Tensor& outputs, const Targets& targets) const {
  return loss_.mean(outputs, targets.tensors.at(0));
}

PixelLoss Segmentation::host_loss() const {
  return PixelLoss(options_.loss, classes_, options_.weight_of_class);
}

std::unique_ptr<Metric> Segmentation::metric() const {
  return std::make_unique<PixelEvaluation>(classes_, options_.threshold, host_loss());
}

const ScoreKind& Segmentation::running_score() const { return scores_[3]; }  // pixel_accuracy

double Segmentation::running_sum(const Tensor& outputs, const Targets& targets) const {
  PixelEvaluation part(classes_, options_.threshold, host_loss());
  part.add(outputs, targets);
  return part.pixel_accuracy() * static_cast<double>(part.samples());
}

TaskCard Segmentation::card() const {
  nlohmann::json j = nlohmann::json::object();
  j["name"] = name();
  j["classes"] = options_.names;
  j["decoder"] = options_.decoder;
  j["loss"] = options_.loss;
  if (classes_ == 2) j["threshold"] = options_.threshold;
  const auto first = options_.names.begin() + (classes_ == 2 ? 1 : 0);
  return {.json = j.dump(),
          .names = {first, options_.names.end()},
          .outputs = outputs(),
          .sigmoid = classes_ == 2};
}

namespace {

// The classes that a card keeps; bad_input for what are none.
std::vector<std::string> classes_in(const TaskCard& card) {
  const auto j = nlohmann::json::parse(card.json, nullptr, false);
  const bool is_there = j.is_object() && j.contains("classes") && j.at("classes").is_array();
  GRAFT_CHECK(is_there, "the model card does not say what the classes of its maps are");
  std::vector<std::string> names;
  for (const auto& name : j.at("classes")) {
    GRAFT_CHECK(name.is_string(), "the model card's classes have names that are none");
    names.push_back(name.get<std::string>());
  }
  GRAFT_CHECK(names.size() >= 2 && (names.size() == 2 ? 1 : std::ssize(names)) == card.outputs,
              "the model card has ", names.size(), " classes for ", card.outputs, " maps");
  return names;
}

std::string text_in(const TaskCard& card, const char* key, const std::string& otherwise) {
  const auto j = nlohmann::json::parse(card.json, nullptr, false);
  return j.contains(key) && j.at(key).is_string() ? j.at(key).get<std::string>() : otherwise;
}

}  // namespace

bool Segmentation::take_head_of(const TaskCard& card) {
  return is_same_head(this->card(), card) && classes_in(card) == options_.names &&
         text_in(card, "decoder", "") == options_.decoder;
}

std::shared_ptr<const Task> Segmentation::chosen_by(const Metric& validation) const {
  if (classes_ != 2) return nullptr;
  SegmentationOptions options = options_;
  options.threshold = dynamic_cast<const PixelEvaluation&>(validation).best_threshold();
  options.threshold_is_chosen = true;
  return std::make_shared<Segmentation>(classes_, std::move(options));
}

std::unique_ptr<Presentation> Segmentation::presentation() const {
  return std::make_unique<MapPresentation>(*this, options_.names, options_.threshold,
                                           options_.threshold_is_chosen);
}

std::vector<double> class_shares(const io::Dataset& dataset, int64_t classes) {
  std::vector<double> pixels(static_cast<size_t>(classes));
  double all = 0;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const std::vector<int64_t> of_sample = dataset.map_facts(i).pixels;
    for (size_t c = 0; c < std::min(pixels.size(), of_sample.size()); ++c) {
      pixels[c] += static_cast<double>(of_sample[c]);
      all += static_cast<double>(of_sample[c]);
    }
  }
  if (all > 0)
    for (double& share : pixels) share /= all;
  return pixels;
}

std::shared_ptr<Task> make_segmentation(const Recipe& recipe, const io::OpenedData& data) {
  GRAFT_CHECK(data.answers == io::AnswerKind::maps,
              "task: segment takes images with masks, these have none");
  const int64_t classes = std::ssize(data.classes);
  GRAFT_CHECK(classes >= 2,
              "task: segment needs pixels of two classes at least, the masks' are all ",
              io::short_list(data.classes));
  GRAFT_CHECK(recipe.balance != "sampling",
              "balance: an image has pixels of several classes, so that none can be repeated by "
              "itself; weights weighs them");
  GRAFT_CHECK(recipe.label_smoothing == 0, "label smoothing: is for task classify");
  SegmentationOptions options{.names = data.classes, .shares = class_shares(*data.train, classes)};
  if (!recipe.loss.empty()) options.loss = recipe.loss;
  if (!recipe.decoder.empty()) options.decoder = recipe.decoder;
  if (recipe.balance == "weights") {
    GRAFT_CHECK(options.loss != "dice",
                "balance: the Dice loss takes each class alike and has no weights");
    const auto there = static_cast<double>(std::count_if(
        options.shares.begin(), options.shares.end(), [](double share) { return share > 0; }));
    for (const double share : options.shares)
      options.weight_of_class.push_back(share > 0 ? 1 / (there * share) : 1);
  }
  return std::make_shared<Segmentation>(classes, std::move(options));
}

std::shared_ptr<Task> segmentation_of(const TaskCard& card) {
  SegmentationOptions options{.names = classes_in(card),
                              .loss = text_in(card, "loss", "ce+dice"),
                              .decoder = text_in(card, "decoder", "unet")};
  const auto j = nlohmann::json::parse(card.json, nullptr, false);
  if (j.contains("threshold")) {
    const auto& threshold = j.at("threshold");
    options.threshold = threshold.is_number() ? threshold.get<double>() : -1;
    GRAFT_CHECK(options.threshold > 0 && options.threshold < 1,
                "the model card's threshold is not between 0 and 1");
    options.threshold_is_chosen = true;
  }
  const int64_t classes = std::ssize(options.names);
  return std::make_shared<Segmentation>(classes, std::move(options));
}

}  // namespace graft::train
