#include "graft/train/tasks/multilabel/multilabel.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "graft/core/tensor/device_backend.h"
#include "graft/io/datasets/class_names.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/loss.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/unary.h"
#include "graft/train/tasks/multilabel/label_presentation.h"

namespace graft::train {

Multilabel::Multilabel(int64_t labels, MultilabelOptions options)
    : labels_(labels),
      options_(std::move(options)),
      thresholds_are_chosen_(!options_.thresholds.empty()) {
  GRAFT_CHECK(labels >= 1, "multilabel: there are no labels");
  const auto count = static_cast<size_t>(labels);
  if (options_.thresholds.empty()) options_.thresholds.assign(count, kEvenThreshold);
  GRAFT_CHECK(options_.thresholds.size() == count, "multilabel: ", options_.thresholds.size(),
              " thresholds for ", labels, " labels");
  GRAFT_CHECK(options_.positive_weight.empty() || options_.positive_weight.size() == count,
              "multilabel: ", options_.positive_weight.size(), " weights for ", labels, " labels");
  to({});
}

std::shared_ptr<const io::Dataset> Multilabel::to_judge(
    const io::OpenedData& data, const std::string& path,
    const std::function<void(const std::string&)>& note) const {
  GRAFT_CHECK(data.answers != io::AnswerKind::numbers, path,
              ": holds numbers, the model gives labels");
  if (options_.names.empty()) {
    GRAFT_CHECK(std::ssize(data.classes) <= labels_, path, ": has ", data.classes.size(),
                " labels, the model ", labels_);
    return data.val;
  }
  const auto found = io::matched_classes(data.classes, options_.names);
  std::vector<std::string> unknown;
  for (size_t i = 0; i < found.size(); ++i)
    if (found[i] < 0) unknown.push_back(data.classes[i]);
  GRAFT_CHECK(unknown.size() < found.size(), path, ": none of its labels (",
              io::short_list(data.classes),
              ") is one of the model's: ", io::short_list(options_.names));
  if (!unknown.empty())
    note("not counted: labels that the model does not know: " + io::short_list(unknown));
  return io::several_relabelled(data.val, found);
}

Targets Multilabel::targets(const io::Dataset& dataset, std::span<const int64_t> samples) const {
  Tensor there = Tensor::zeros({std::ssize(samples), labels_});
  float* row = there.mutable_data<float>();
  for (const int64_t sample : samples) {
    for (const int64_t label : dataset.labels(sample)) {
      GRAFT_CHECK(label >= 0 && label < labels_, dataset.name(sample), ": label ", label, " of ",
                  labels_);
      row[label] = 1;
    }
    row += labels_;
  }
  return there;
}

Targets Multilabel::made_up_targets(int64_t samples, const io::Preprocess&) const {
  return Tensor::zeros({samples, labels_});
}

void Multilabel::check(const Targets& targets, const Shape& outputs) const {
  GRAFT_CHECK(targets.one().shape() == outputs, "multilabel: targets ", targets.one().shape(),
              " for outputs ", outputs);
}

void Multilabel::to(Device device) {
  if (options_.positive_weight.empty()) return;
  std::vector<float> extra;
  for (const double weight : options_.positive_weight)
    extra.push_back(static_cast<float>(weight - 1));
  extra_ = to_device(Tensor::of<float>({1, labels_}, extra), device);
}

// Weighted: (1 + extra t) softplus(-x) of those that are there (t = 1), softplus(x) of the others;
// so the plain loss and extra t softplus(-x).
Tensor Multilabel::loss(const Tensor& outputs, const Targets& targets) const {
  const Tensor& there = targets.one();
  const Tensor plain = functional::binary_cross_entropy_with_logits(outputs, there);
  if (!extra_.defined()) return plain;
  const Tensor missed =
      functional::unary(functional::neg(outputs), ops::UnaryAttributes{ops::Unary::softplus});
  const Tensor weighted = functional::mul(functional::mul(missed, there), extra_);
  return functional::add(plain, functional::reduce(weighted, {ops::Reduce::mean}));
}

const std::vector<ScoreKind>& Multilabel::scores() const {
  constexpr double huge = std::numeric_limits<double>::max();
  static const std::vector<ScoreKind> kinds{{"mAP", 0, 1, true},
                                            {"loss", 0, huge, false},
                                            {"macro_f1", 0, 1, true},
                                            {"micro_f1", 0, 1, true}};
  return kinds;
}

std::unique_ptr<Metric> Multilabel::metric() const {
  return std::make_unique<LabelEvaluation>(options_.thresholds);
}

const ScoreKind& Multilabel::running_score() const {
  static const ScoreKind kind{"label_accuracy", 0, 1, true};
  return kind;
}

double Multilabel::running_sum(const Tensor& outputs, const Targets& targets) const {
  const std::vector<double> x = to_device(outputs, {}).to_doubles(), t = targets.one().to_doubles();
  int64_t right = 0;
  for (size_t i = 0; i < x.size(); ++i) right += (x[i] >= 0) == (t[i] > 0.5);
  return static_cast<double>(right) / static_cast<double>(labels_);
}

TaskCard Multilabel::card() const {
  nlohmann::json j = nlohmann::json::object();
  j["name"] = name();
  j["thresholds"] = options_.thresholds;
  return {.json = j.dump(), .names = options_.names, .outputs = labels_, .sigmoid = true};
}

std::shared_ptr<const Task> Multilabel::chosen_by(const Metric& validation) const {
  MultilabelOptions options = options_;
  const auto& judged = dynamic_cast<const LabelEvaluation&>(validation);
  options.thresholds =
      options.least_precision > 0 ? judged.thresholds_of_precision(options.least_precision)
      : options.least_recall > 0  ? judged.thresholds_of_recall(options.least_recall)
                                  : judged.best_thresholds();
  return std::make_shared<Multilabel>(labels_, std::move(options));
}

void Multilabel::choose_thresholds(double least_precision, double least_recall) {
  GRAFT_CHECK(least_precision == 0 || least_recall == 0,
              "least precision and least recall: thresholds are chosen for one of them");
  options_.least_precision = least_precision;
  options_.least_recall = least_recall;
}

std::shared_ptr<const Task> Multilabel::answering_from(double least) const {
  MultilabelOptions options = options_;
  options.thresholds.assign(static_cast<size_t>(labels_), least);
  return std::make_shared<Multilabel>(labels_, std::move(options));
}

std::unique_ptr<Presentation> Multilabel::presentation() const {
  return std::make_unique<LabelPresentation>(*this, options_.names, options_.thresholds,
                                             thresholds_are_chosen_);
}

std::vector<double> positive_weights(const io::Dataset& dataset, int64_t labels) {
  std::vector<int64_t> counts(static_cast<size_t>(labels));
  for (int64_t i = 0; i < dataset.size(); ++i)
    for (const int64_t label : dataset.labels(i)) ++counts.at(static_cast<size_t>(label));
  std::vector<double> weights;
  for (const int64_t count : counts)
    weights.push_back(count == 0 || count == dataset.size()
                          ? 1
                          : static_cast<double>(dataset.size() - count) /
                                static_cast<double>(count));
  return weights;
}

std::shared_ptr<Task> make_multilabel(const Recipe& recipe, const io::OpenedData& data) {
  GRAFT_CHECK(data.answers != io::AnswerKind::numbers,
              "task: multilabel takes data of labels, these are numbers");
  GRAFT_CHECK(recipe.balance != "sampling",
              "balance: a sample has several labels, so that none can be repeated by itself; "
              "weights weighs them");
  GRAFT_CHECK(recipe.label_smoothing == 0, "label smoothing: is for task classify");
  GRAFT_CHECK(recipe.loss.empty(), "loss: is for tasks regress and segment, this is multilabel");
  const int64_t labels = std::ssize(data.classes);
  MultilabelOptions options{.names = data.classes};
  if (recipe.balance == "weights") options.positive_weight = positive_weights(*data.train, labels);
  return std::make_shared<Multilabel>(labels, std::move(options));
}

std::shared_ptr<Task> multilabel_of(const TaskCard& card) {
  const auto j = nlohmann::json::parse(card.json, nullptr, false);
  MultilabelOptions options{.names = card.names};
  const bool has_thresholds = j.is_object() && j.contains("thresholds");
  GRAFT_CHECK(has_thresholds && j.at("thresholds").is_array() &&
                  std::ssize(j.at("thresholds")) == card.outputs,
              "the model card's thresholds are not one for each of ", card.outputs, " labels");
  for (const auto& threshold : j.at("thresholds")) {
    const double value = threshold.is_number() ? threshold.get<double>() : -1;
    GRAFT_CHECK(value >= 0 && value <= 1, "the model card's thresholds are not between 0 and 1");
    options.thresholds.push_back(value);
  }
  return std::make_shared<Multilabel>(card.outputs, std::move(options));
}

}  // namespace graft::train
