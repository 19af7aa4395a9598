#include "graft/api/advise.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "graft/api/finetune.h"
#include "graft/api/image_doubts.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/printable.h"
#include "graft/core/runtime/stop.h"
#include "graft/io/datasets/changed_files.h"
#include "graft/layers/functional/softmax.h"
#include "graft/layers/modules/default_values.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/initialization.h"
#include "graft/models/segmentation/segmentation.h"
#include "graft/train/stage_features.h"
#include "graft/train/tasks/classification/transferability/class_separation.h"
#include "graft/train/tasks/classification/transferability/expected_prediction.h"
#include "graft/train/tasks/classification/transferability/log_evidence.h"
#include "graft/train/tasks/classification/transferability/neighbors.h"

namespace graft {
namespace {

using AdviceClock = std::chrono::steady_clock;
constexpr size_t kMostCuts = 4;  // of one network, the deepest

double seconds_since(AdviceClock::time_point begin) {
  return std::chrono::duration<double>(AdviceClock::now() - begin).count();
}

// Leaves a pass that would outlast the budget.
struct OverBudget {
  double needed;
};

// What is measured on, the same for all.
struct AdviceData {
  std::shared_ptr<const io::Dataset> images{};
  std::vector<int64_t> labels{};
};

class Advisor {
 public:
  Advisor(const std::string& path, const AdviseOptions& options)
      : options_(options), began_(AdviceClock::now()) {
    advice_.data = path;
    open(path);
  }

  Advice advise(const std::vector<std::string>& weights) {
    advice_.baselines.push_back(raw_pixels());
    for (auto& [path, imported] : smallest_first(weights)) try_weights(path, imported);
    GRAFT_CHECK(!advice_.candidates.empty(),
                "no weights were measured: ", join(advice_.left_out, "; "));
    conclude(advice_);
    try_random_weights();
    conclude(advice_);
    if (const std::string changed = io::changed_files(opened_); !changed.empty()) note(changed);
    return std::move(advice_);
  }

 private:
  void note(const std::string& sentence) const {
    if (options_.on_note) options_.on_note(sentence);
  }

  void open(const std::string& path) {
    io::DataOptions asked = options_.data;
    asked.answers = io::AnswerKind::by_form;
    opened_ = io::open_data(path, asked);
    GRAFT_CHECK(opened_.answers == io::AnswerKind::one_label, path,
                ": advice is for images of one class each; here ", opened_.answers_why);
    opened_.train = io::without_broken_images(opened_.train, options_.broken_share, opened_.notes);
    for (const auto* sentences : {&opened_.doubts, &opened_.notes})
      for (const std::string& sentence : *sentences) note(sentence);
    (void)task_for_data("auto", path, opened_);  // refuses data of one class
    data_.images = opened_.train;
    std::vector<int64_t> sizes(opened_.classes.size());
    for (int64_t i = 0; i < data_.images->size(); ++i) {
      data_.labels.push_back(data_.images->label(i));
      ++sizes[static_cast<size_t>(data_.labels.back())];
    }
    for (size_t c = 0; c < sizes.size(); ++c) {
      if (sizes[c] == 0)
        note(str("class ", printable(opened_.classes[c]),
                 " has no image here and counts for nothing"));
      if (sizes[c] > 0 && sizes[c] < options_.folds)
        note(str("class ", printable(opened_.classes[c]), " has ", sizes[c],
                 " images, fewer than the ", options_.folds, " folds: little can be said of it"));
      advice_.classes += sizes[c] > 0;
    }
    advice_.images = data_.images->size();
    advice_.folds = std::min(options_.folds, advice_.images);
    GRAFT_CHECK(advice_.classes >= 2, path, ": its training images are of one class only");
  }

  // Imported, so that the fixed order of sizes is known before the first pass.
  std::vector<std::pair<std::string, models::Imported>> smallest_first(
      const std::vector<std::string>& weights) {
    std::vector<std::pair<std::string, models::Imported>> all;
    for (const std::string& path : weights) {
      check_stop();
      const bool is_known =
          std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.first == path; });
      if (is_known) continue;
      GRAFT_CHECK(file_system().exists(path), path, ": there is no such file");
      models::Imported imported = models::import_weights(path, options_.import);
      if (std::holds_alternative<models::SegmentationConfig>(imported.model.card.architecture))
        bad_input(path, ": is a network for masks; advice is for images of one class each");
      io::Preprocess& p = imported.model.card.preprocess;
      if (!options_.image_size.empty()) {
        const auto [height, width] = io::image_sides(options_.image_size);
        p.set_size(height, width);
      }
      if (!options_.resize.empty()) p.set_fit(options_.resize);
      check_on_images(imported.model, data_.images, imported.certificate);
      for (const auto* sentences : {&imported.certificate.doubts, &imported.certificate.notes})
        for (const std::string& sentence : *sentences) note(printable(path) + ": " + sentence);
      all.emplace_back(path, std::move(imported));
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return parameters_of(a.second.model, a.second.model.network->stages().size()) <
             parameters_of(b.second.model, b.second.model.network->stages().size());
    });
    return all;
  }

  static int64_t parameters_of(const models::Model& model, size_t stages) {
    int64_t count = 0;
    for (size_t stage = 0; stage < stages; ++stage)
      for (Module* owner : model.network->stage_modules(stage))
        for (const NamedTensor& parameter : owner->parameters()) count += parameter.tensor.numel();
    return count;
  }

  // How many stages stand in front of the classifier.
  static size_t feature_stages(const models::Model& model) {
    const size_t all = model.network->stages().size();
    if (const auto* graph = dynamic_cast<const models::GraphModule*>(model.network.get())) {
      const auto& config = std::get<models::GraphConfig>(model.card.architecture);
      for (size_t stage = 0; stage < all && !graph->head() && config.classes > 0; ++stage)
        if (graph->stage_value(stage) == config.classifier_input) return stage + 1;
      return graph->head() ? all - 1 : all;
    }
    return all - (models::classes_of(model.card.architecture) > 0 ? 1 : 0);
  }

  // Behind which stages, but for the last one, the import would cut.
  std::vector<size_t> cuts_of(const models::Model& model, const std::string& naming, size_t end) {
    const models::Architecture& a = model.card.architecture;
    if (options_.import.cut != "auto" || naming == models::kGraftNaming ||
        std::holds_alternative<models::CifarResNetConfig>(a))
      return {};
    std::vector<size_t> cuts = train::ends_of_maps(*model.network, model.card.preprocess.zeros(1));
    const auto* resnet = std::get_if<models::ResNetConfig>(&a);
    const bool is_native = !std::holds_alternative<models::GraphConfig>(a);
    std::erase_if(cuts, [&](size_t cut) {
      const std::string& name = model.network->stages()[cut - 1];
      return cut >= end || (resnet && !name.starts_with("layer")) ||
             (is_native && !resnet && !name.starts_with("features"));
    });
    if (cuts.size() > kMostCuts) cuts.erase(cuts.begin(), cuts.end() - kMostCuts);
    return cuts;
  }

  void try_weights(const std::string& path, models::Imported& imported) {
    try {
      for (AdvisedFeatures& one : measure(imported.model, path, imported.certificate.naming))
        advice_.candidates.push_back(std::move(one));
    } catch (const OverBudget& over) {
      advice_.left_out.push_back(str(printable(path), ": a pass over the images would take ",
                                     std::llround(std::ceil(over.needed)),
                                     " s, more than is left of the budget"));
    }
    imported.model.network.reset();
    sources_.push_back({path, imported.certificate.naming, std::move(imported.model.card)});
  }

  train::StageFeatures pass(models::Model& model, const train::StagePlan& plan,
                            const std::string& what) {
    train::BatchLoader loader(data_.images, model.card.preprocess, {.cache_bytes = 0});
    const auto begin = AdviceClock::now();
    return train::extract_stage_features(
        *model.network, loader, plan, [&](int64_t done, int64_t total) {
          if (options_.progress) options_.progress(what, done, total);
          const double needed =
              seconds_since(begin) * static_cast<double>(total) / static_cast<double>(done);
          const double left =
              options_.budget_seconds - std::chrono::duration<double>(begin - began_).count();
          if (options_.budget_seconds > 0 && done < total && needed > left)
            throw OverBudget{needed};
        });
  }

  // Features of one network behind each of its cuts, scored; `path` is "" for random weights.
  std::vector<AdvisedFeatures> measure(models::Model& model, const std::string& path,
                                       const std::string& naming) {
    const auto begin = AdviceClock::now();
    const std::string network = models::name_of(model.card.architecture);
    const size_t end = feature_stages(model);
    train::StagePlan plan{cuts_of(model, naming, end)};
    plan.ends.push_back(end);
    if (!path.empty() && has_source_classes(model))
      plan.answers_at = model.network->stages().size();
    const train::StageFeatures got =
        pass(model, plan, "features, " + (path.empty() ? "random weights" : path));
    const double share = seconds_since(begin) / static_cast<double>(plan.ends.size());
    std::vector<AdvisedFeatures> all;
    for (size_t i = 0; i < plan.ends.size(); ++i) {
      const bool is_last = i + 1 == plan.ends.size();
      if (!is_last && same_values(got.features[i], got.features.back()))
        continue;  // what pooling made of it
      AdvisedFeatures f;
      f.weights = path;
      f.what = path.empty() ? "random weights, " + network
                            : str(network, ", ", got.features[i].size(1), " features");
      if (!is_last)
        f.cut = model.network->stages()[plan.ends[i] - 1];
      else if (!path.empty())
        f.cut = options_.import.cut;
      f.parameters = parameters_of(model, plan.ends[i]);
      score(f, got.features[i], is_last && plan.answers_at > 0 ? got.answers : Tensor(), share);
      if (f.features > 0) all.push_back(std::move(f));
    }
    return all;
  }

  static bool has_source_classes(const models::Model& model) {
    return models::classes_of(model.card.architecture) >= 2 &&
           task_card_of(model.card).name() == "classify" &&
           model.card.activation == models::Activation::softmax &&
           std::holds_alternative<models::GraphConfig>(model.card.architecture) == false;
  }

  static bool same_values(const Tensor& a, const Tensor& b) {
    if (a.shape() != b.shape()) return false;
    const float *x = a.data<float>(), *y = b.data<float>();
    return std::equal(x, x + a.numel(), y, [](float u, float v) {
      return std::abs(u - v) <= 1e-5F * std::max(1.0F, std::abs(u));
    });
  }

  // Leaves f.features at 0, and says so, where features are no numbers.
  void score(AdvisedFeatures& f, const Tensor& features, const Tensor& answers,
             double pass_seconds) {
    const auto begin = AdviceClock::now();
    check_stop();
    const std::string name =
        f.weights.empty() ? f.what : printable(f.weights) + ", cut " + printable(f.cut);
    if (options_.progress) options_.progress("scores, " + name, 0, 1);
    const float* values = features.data<float>();
    if (!std::all_of(values, values + features.numel(), [](float v) { return std::isfinite(v); })) {
      advice_.left_out.push_back(name + ": its features are not finite numbers");
      return;
    }
    const train::ClassedFeatures given = train::classed_features(features, data_.labels);
    f.features = given.count;
    f.probe = train::probe(given, {.folds = options_.folds});
    f.log_evidence = train::log_evidence(given);
    f.separation = train::class_separation(given).score;
    f.neighbors = train::neighbor_accuracy(given);
    if (answers.defined()) f.expected_prediction = foretold(answers);
    f.seconds = pass_seconds + seconds_since(begin);
    if (options_.progress) options_.progress("scores, " + name, 1, 1);
  }

  double foretold(const Tensor& answers) const {
    const Tensor p = functional::softmax(
        answers.to(DType::f64).reshape({answers.size(0), answers.numel() / answers.size(0)}), 1);
    const double* values = p.data<double>();
    const bool is_finite =
        std::all_of(values, values + p.numel(), [](double v) { return std::isfinite(v); });
    return is_finite ? train::expected_prediction(p, data_.labels)
                     : std::numeric_limits<double>::quiet_NaN();
  }

  // Small enough for a linear classifier: 28x28 grey pixels, or 16x16 of colors.
  AdvisedFeatures raw_pixels() {
    const auto begin = AdviceClock::now();
    const int64_t samples = data_.images->size();
    const bool is_grey = data_.images->image(0).channels == 1;
    const int64_t side = is_grey ? 28 : 16, channels = is_grey ? 1 : 3;
    const int64_t count = side * side * channels;
    Tensor pixels = Tensor::empty({samples, count});
    float* out = pixels.mutable_data<float>();
    for (int64_t i = 0; i < samples; ++i) {
      check_stop();
      const io::Image image =
          io::resize(io::with_channels(data_.images->image(i), channels), side, side);
      const uint8_t* from = image.pixels.data<uint8_t>();
      for (int64_t p = 0; p < count; ++p) *out++ = static_cast<float>(from[p]) / 255;
      if (options_.progress) options_.progress("raw pixels", i + 1, samples);
    }
    AdvisedFeatures f;
    f.cut = "";
    f.what = str("raw pixels, ", side, "x", side, is_grey ? " grey" : "");
    score(f, pixels, {}, seconds_since(begin));
    return f;
  }

  // The network of the best candidate that graft builds itself with random weights, at its best
  // cut.
  void try_random_weights() {
    for (const AdvisedFeatures& candidate : advice_.candidates) {
      const Source& source =
          *std::find_if(sources_.begin(), sources_.end(),
                        [&](const Source& one) { return one.path == candidate.weights; });
      if (models::holds_graph(source.card.architecture)) continue;
      models::Model model{nullptr, source.card};
      {
        const ScopedUnsetValues unset;  // they come below
        model.network = models::make_network(source.card.architecture);
      }
      models::initialize(*model.network, options_.seed);
      const std::string name = models::name_of(source.card.architecture);
      try {
        std::vector<AdvisedFeatures> all = measure(model, "", source.naming);
        // The deepest of equals.
        const auto best = std::max_element(all.rbegin(), all.rend(),
                                           [](const AdvisedFeatures& a, const AdvisedFeatures& b) {
                                             return a.probe.share < b.probe.share;
                                           });
        if (best != all.rend()) advice_.baselines.push_back(std::move(*best));
      } catch (const OverBudget&) {
        advice_.left_out.push_back(name + " with random weights: beyond the budget");
      }
      return;
    }
    advice_.left_out.push_back(
        "random weights: none of the networks is one that graft builds itself");
  }

  struct Source {
    std::string path, naming;
    models::ModelCard card;
  };

  const AdviseOptions& options_;
  AdviceClock::time_point began_;
  io::OpenedData opened_;
  AdviceData data_;
  std::vector<Source> sources_;  // the weights that were tried
  Advice advice_;
};

}  // namespace

Advice advise(const std::vector<std::string>& weights, const std::string& data,
              const AdviseOptions& options) {
  GRAFT_CHECK(!weights.empty(), "advice: no weights were named");
  GRAFT_CHECK(options.folds >= 2, "advice: ", options.folds, " folds, at least 2 are needed");
  const ScopedStop stop(options.stop);
  return Advisor(data, options).advise(weights);
}

}  // namespace graft
