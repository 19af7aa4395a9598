#include "graft/train/tasks/classification/classification.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "graft/core/tensor/device_backend.h"
#include "graft/io/datasets/class_names.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/functional.h"
#include "graft/layers/functional/loss.h"
#include "graft/train/fit.h"
#include "graft/train/tasks/classification/balance.h"
#include "graft/train/tasks/classification/presentation.h"
#include "graft/train/tasks/shown.h"

namespace graft::train {

Targets class_targets(const io::Dataset& dataset, std::span<const int64_t> samples) {
  Tensor labels = Tensor::empty({std::ssize(samples)}, {.dtype = DType::i64});
  int64_t* to = labels.mutable_data<int64_t>();
  for (const int64_t sample : samples) *to++ = dataset.label(sample);
  return labels;
}

namespace {

bool is_mixed(const Targets& targets) { return targets.tensors.size() == 2; }

}  // namespace

Classification::Classification(int64_t classes, ClassificationOptions options)
    : classes_(classes), options_(std::move(options)) {
  to({});
}

std::shared_ptr<const io::Dataset> Classification::to_train_on(
    std::shared_ptr<const io::Dataset> dataset) const {
  if (!options_.sampled_evenly) return dataset;
  return evenly_sampled(std::move(dataset), classes_, options_.seed);
}

std::shared_ptr<const io::Dataset> Classification::to_judge(
    const io::OpenedData& data, const std::string& path,
    const std::function<void(const std::string&)>& note) const {
  const std::vector<std::string>& classes = data.classes;
  if (options_.names.empty()) {
    GRAFT_CHECK(std::ssize(classes) <= classes_, path, ": has ", classes.size(),
                " classes, the model ", classes_);
    return data.val;
  }
  const auto found = io::matched_classes(classes, options_.names);
  std::vector<std::string> unknown;
  for (size_t i = 0; i < classes.size(); ++i)
    if (found[i] < 0) unknown.push_back(classes[i]);
  GRAFT_CHECK(unknown.size() < classes.size(), path, ": none of its classes (",
              io::short_list(classes), ") is one of the model's: ", io::short_list(options_.names));
  const auto known = io::relabelled(data.val, found);
  if (!unknown.empty())
    note(str("left out: ", thousands(data.val->size() - known->size()), " of ",
             thousands(data.val->size()),
             " images, of classes that the model does not know: ", io::short_list(unknown)));
  return known;
}

Targets Classification::targets(const io::Dataset& dataset,
                                std::span<const int64_t> samples) const {
  return class_targets(dataset, samples);
}

Targets Classification::made_up_targets(int64_t samples, const io::Preprocess&) const {
  return Tensor::zeros({samples}, {.dtype = DType::i64});
}

void Classification::check(const Targets& targets, const Shape& outputs) const {
  const int64_t classes = outputs[1];
  for (const int64_t label : targets.tensors.at(0).elements<int64_t>())
    GRAFT_CHECK(label >= 0 && label < classes, "cross_entropy: label ", label, " is not in [0, ",
                classes, ")");
}

void Classification::to(Device device) {
  const std::vector<float> weights(options_.weight_of_class.begin(),
                                   options_.weight_of_class.end());
  if (!weights.empty())
    weights_ = to_device(Tensor::of<float>({std::ssize(weights)}, weights), device);
  if (!options_.focal) return;
  std::vector<float> numbers(static_cast<size_t>(classes_));
  std::iota(numbers.begin(), numbers.end(), 0.f);
  numbers_ = to_device(Tensor::of<float>({1, classes_}, numbers), device);
}

// The targets' probabilities t give - sum over c of t w (1 - p)^2 log p, w the class's weight. As
// cross-entropy's, its mean over the samples is weighed by their labels' weights where the targets
// are labels.
Tensor Classification::focal_loss(const Tensor& outputs, const Targets& targets) const {
  namespace F = functional;
  const auto scaled = [](const Tensor& x, double by) { return F::mul(x, Tensor::scalar(by)); };
  const auto plus = [](const Tensor& x, double by) { return F::add(x, Tensor::scalar(by)); };
  const int64_t count = outputs.size(0);
  const double smoothing = options_.label_smoothing;
  Tensor hot = is_mixed(targets) ? targets.tensors[1] : Tensor();
  if (!hot.defined()) {  // 1 where a class's number is the label
    const Tensor label = F::reshape(F::cast(targets.one(), DType::f32), {count, 1});
    hot = plus(scaled(F::clip(F::abs(F::sub(numbers_, label)), 0, 1), -1), 1);
  }
  Tensor t = hot;
  if (smoothing > 0)
    t = plus(scaled(hot, 1 - smoothing), smoothing / static_cast<double>(classes_));
  const Tensor weights = weights_.defined() ? F::reshape(weights_, {1, classes_}) : Tensor();
  if (weights.defined()) t = F::mul(t, weights);
  const Tensor log_p = F::log_softmax(outputs, 1), wrong = plus(scaled(F::exp(log_p), -1), 1);
  const Tensor sum =
      F::neg(F::reduce(F::mul(F::mul(t, F::mul(wrong, wrong)), log_p), {ops::Reduce::sum}));
  if (is_mixed(targets) || !weights.defined()) return scaled(sum, 1.0 / static_cast<double>(count));
  return F::div(sum, F::reduce(F::mul(hot, weights), {ops::Reduce::sum}));
}

Tensor Classification::loss(const Tensor& outputs, const Targets& targets) const {
  if (options_.focal) {
    if (is_cpu(outputs.device())) check(targets, outputs.shape());
    return focal_loss(outputs, targets);
  }
  return functional::cross_entropy(
      outputs, is_mixed(targets) ? targets.tensors[1] : targets.one(),
      {.label_smoothing = options_.label_smoothing, .class_weights = weights_});
}

Targets Classification::mixed(const Targets& targets, double share) const {
  const Tensor& labels = targets.one();
  const int64_t count = labels.numel();
  Tensor probabilities = Tensor::zeros({count, classes_});
  float* row = probabilities.mutable_data<float>();
  const auto labelled = labels.elements<int64_t>();
  for (int64_t i = 0; i < count; ++i, row += classes_) {
    row[labelled[static_cast<size_t>(i)]] += static_cast<float>(share);
    row[labelled[static_cast<size_t>((i + count - 1) % count)]] += static_cast<float>(1 - share);
  }
  Targets mixed = targets;
  mixed.tensors.push_back(std::move(probabilities));
  return mixed;
}

double Classification::weight(const Targets& targets) const {
  if (options_.weight_of_class.empty() || is_mixed(targets)) return Task::weight(targets);
  double sum = 0;
  for (const int64_t label : targets.one().elements<int64_t>())
    sum += options_.weight_of_class.at(static_cast<size_t>(label));
  return sum;
}

const std::vector<ScoreKind>& Classification::scores() const {
  constexpr double huge = std::numeric_limits<double>::max();
  static const std::vector<ScoreKind> kinds{
      {"accuracy", 0, 1, true}, {"loss", -huge, huge, false}, {"macro_f1", 0, 1, true}};
  return kinds;
}

std::unique_ptr<Metric> Classification::metric() const {
  return std::make_unique<Evaluation>(classes_);
}

const ScoreKind& Classification::running_score() const { return scores()[0]; }

double Classification::running_sum(const Tensor& outputs, const Targets& targets) const {
  const std::vector<int64_t> answers = predictions(outputs);
  if (is_mixed(targets)) {  // what the targets have of the predicted classes
    const float* row = targets.tensors[1].data<float>();
    double sum = 0;
    for (size_t i = 0; i < answers.size(); ++i, row += classes_) sum += double{row[answers[i]]};
    return sum;
  }
  const int64_t* labels = targets.one().data<int64_t>();
  int64_t correct = 0;
  for (size_t i = 0; i < answers.size(); ++i) correct += answers[i] == labels[i];
  return static_cast<double>(correct);
}

TaskCard Classification::card() const {
  TaskCard card{.names = options_.names, .outputs = classes_, .sigmoid = options_.sigmoid};
  nlohmann::json j = nlohmann::json::object();
  if (options_.temperature != 1) j["temperature"] = options_.temperature;
  if (!options_.thresholds.empty()) j["thresholds"] = options_.thresholds;
  if (j.empty()) return card;  // as before there was a choice
  j["name"] = name();
  card.json = j.dump();
  return card;
}

Reading Classification::reading() const { return {options_.temperature, options_.sigmoid}; }

std::shared_ptr<const Task> Classification::chosen_by(const Metric& validation) const {
  const JudgedLogits& judged = dynamic_cast<const Evaluation&>(validation).logits();
  if (judged.samples() == 0) return nullptr;
  ClassificationOptions options = options_;
  if (!options.sigmoid) options.temperature = fit_temperature(judged).value;
  const Reading reading{options.temperature, options.sigmoid};
  if (options.least_precision > 0)
    options.thresholds = thresholds_of_precision(judged, reading, options.least_precision).values;
  if (options.least_recall > 0)
    options.thresholds = thresholds_of_recall(judged, reading, options.least_recall).values;
  return std::make_shared<Classification>(classes_, std::move(options));
}

std::vector<std::string> Classification::choices(const Metric& validation) const {
  const JudgedLogits& judged = dynamic_cast<const Evaluation&>(validation).logits();
  std::vector<std::string> said;
  if (judged.samples() == 0) return said;
  const Temperature fitted = options_.sigmoid ? Temperature{} : fit_temperature(judged);
  if (options_.sigmoid)
    said.push_back("probabilities are not calibrated: each class has a sigmoid of its own");
  else if (!fitted.refusal.empty())
    said.push_back("probabilities are not calibrated: " + fitted.refusal);
  else
    said.push_back(str("probabilities are calibrated: temperature ", fixed(fitted.value, 4),
                       ", expected calibration error ",
                       fixed(reliability(judged, {fitted.value}).error, 4), ", ",
                       fixed(reliability(judged, {}).error, 4),
                       " without it (on the images that it was chosen by)"));
  const Reading reading{fitted.value, options_.sigmoid};
  const bool of_precision = options_.least_precision > 0;
  if (!of_precision && options_.least_recall == 0) return said;
  const double least = of_precision ? options_.least_precision : options_.least_recall;
  const ClassThresholds found = of_precision ? thresholds_of_precision(judged, reading, least)
                                             : thresholds_of_recall(judged, reading, least);
  const Answered answered = answered_at(judged, reading, found.values);
  said.push_back(str(
      "thresholds for a ", of_precision ? "precision" : "recall", " of ", fixed(least, 4),
      " of each class: ", fixed(answered.coverage(), 4), " of the validation images are answered",
      answered.answered > 0 ? str(", of which ", fixed(answered.accuracy(), 4), " rightly")
                            : std::string(),
      "; the others are \"don't know\""));
  if (found.missed.empty()) return said;
  std::vector<std::string> names;
  for (const int64_t c : found.missed)
    names.push_back(c < std::ssize(options_.names) ? options_.names[static_cast<size_t>(c)]
                                                   : str("class ", c));
  said.push_back(str(
      "no threshold gives that ", of_precision ? "precision" : "recall", " to ",
      io::short_list(names),
      of_precision ? ": answered at a probability of 1 alone" : ": answered at any probability"));
  return said;
}

void Classification::choose_thresholds(double least_precision, double least_recall) {
  GRAFT_CHECK(least_precision == 0 || least_recall == 0,
              "least precision and least recall: thresholds are chosen for one of them");
  options_.least_precision = least_precision;
  options_.least_recall = least_recall;
}

std::shared_ptr<const Task> Classification::answering_from(double least) const {
  ClassificationOptions options = options_;
  options.thresholds.assign(static_cast<size_t>(classes_), least);
  return std::make_shared<Classification>(classes_, std::move(options));
}

bool Classification::take_head_of(const TaskCard& card) {
  if (!is_same_head(this->card(), card)) return false;
  options_.names = card.names;  // as they are written there
  options_.sigmoid = card.sigmoid;
  return true;
}

std::unique_ptr<Presentation> Classification::presentation() const {
  return std::make_unique<ClassificationPresentation>(
      *this, options_.names, ProbabilityPolicy{reading(), options_.thresholds});
}

std::shared_ptr<Task> make_classification(const Recipe& recipe, const io::OpenedData& data) {
  const int64_t classes = std::ssize(data.classes);
  GRAFT_CHECK(data.answers == io::AnswerKind::one_label, "task: classify takes data of one label ",
              "a sample; these have several, or numbers");
  GRAFT_CHECK(recipe.loss.empty() || recipe.loss == "ce" || recipe.loss == "focal", "loss: '",
              recipe.loss, "' is not for task classify, which has ce and focal");
  ClassificationOptions options{.label_smoothing = recipe.label_smoothing,
                                .focal = recipe.loss == "focal",
                                .sampled_evenly = recipe.balance == "sampling",
                                .names = data.classes,
                                .seed = recipe.seed};
  if (recipe.balance == "weights") options.weight_of_class = class_weights(*data.train, classes);
  return std::make_shared<Classification>(classes, std::move(options));
}

std::shared_ptr<Task> classification_of(const TaskCard& card) {
  ClassificationOptions options{.names = card.names, .sigmoid = card.sigmoid};
  if (card.json.empty()) return std::make_shared<Classification>(card.outputs, std::move(options));
  const auto j = nlohmann::json::parse(card.json, nullptr, false);
  GRAFT_CHECK(j.is_object(), "the model card's task is no object");
  if (j.contains("temperature")) {
    options.temperature = j.at("temperature").is_number() ? j.at("temperature").get<double>() : 0;
    GRAFT_CHECK(
        options.temperature >= kLowestTemperature && options.temperature <= kHighestTemperature,
        "the model card's temperature is not between 0.05 and 20");
  }
  if (j.contains("thresholds")) {
    const nlohmann::json& values = j.at("thresholds");
    GRAFT_CHECK(values.is_array() && std::ssize(values) == card.outputs,
                "the model card's thresholds are not one for each of ", card.outputs, " classes");
    for (const nlohmann::json& value : values) {
      options.thresholds.push_back(value.is_number() ? value.get<double>() : -1);
      GRAFT_CHECK(options.thresholds.back() >= 0 && options.thresholds.back() <= 1,
                  "the model card's thresholds are not between 0 and 1");
    }
  }
  return std::make_shared<Classification>(card.outputs, std::move(options));
}

Evaluation evaluate(StagedNetwork& network, std::shared_ptr<const io::Dataset> dataset,
                    const io::Preprocess& preprocess, int64_t classes, int64_t batch,
                    const std::function<void(int64_t, int64_t)>& progress) {
  return static_cast<Evaluation&>(*judge(network, std::move(dataset), preprocess,
                                         std::make_shared<Classification>(classes), batch,
                                         progress));
}

Evaluation evaluate(PrefixRunner& run, std::shared_ptr<const io::Dataset> dataset,
                    const io::Preprocess& preprocess, int64_t classes, int64_t batch,
                    const std::function<void(int64_t, int64_t)>& progress) {
  return static_cast<Evaluation&>(*judge(run, std::move(dataset), preprocess,
                                         std::make_shared<Classification>(classes), batch,
                                         progress));
}

}  // namespace graft::train
