#include "graft/api/predictor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>

#include "graft/api/trained_model.h"
#include "graft/api/window_answers.h"
#include "graft/core/base/error.h"
#include "graft/core/base/fork.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/io/input_geometry.h"
#include "graft/kernels/devices.h"
#include "graft/models/graph/graph_import.h"
#include "graft/train/features.h"
#include "graft/train/inputs/table.h"

namespace graft {
namespace {

constexpr int64_t kImagesAtOnce = 16;

// A presentation and the task that it is of.
struct Shown {
  std::shared_ptr<const train::Task> task;
  std::unique_ptr<train::Presentation> presentation;
};

std::shared_ptr<const train::Presentation> shown_of(const models::Model& model,
                                                    double least_confidence) {
  auto shown = std::make_shared<Shown>();
  shown->task = task_answering_from(model, least_confidence);
  shown->presentation = shown->task->presentation();
  return {shown, shown->presentation.get()};
}

void check_options(const PredictorOptions& options, const models::ModelCard& card) {
  precision_named(options.precision);
  if (options.threads < 0 || options.threads > 1024)
    fail(ErrorCode::usage, "predictor: ", options.threads, " threads; 0 to 1024 may be asked for");
  if (!(options.least_confidence >= 0 && options.least_confidence <= 1))
    fail(ErrorCode::usage, "predictor: a least confidence of ", options.least_confidence,
         "; 0 to 1 may be asked for");
  if (options.precision == "fp16" && is_cpu(options.device))
    fail(ErrorCode::usage,
         "predictor: fp16 is for a CUDA device; the CPU computes in fp32 or bf16");
  if (options.precision != "int8") return;
  if (!is_cpu(options.device)) fail(ErrorCode::usage, "predictor: int8 is the CPU's");
  GRAFT_CHECK(!card.int8.empty(), "int8: the model is not calibrated for it; graft evaluate ",
              "--calibrate does it");
}

// Sample `index` of a batch, without the batch's axis.
Tensor sample_of(const Tensor& batch, int64_t index) {
  std::vector<int64_t> sizes;
  for (int64_t axis = 1; axis < batch.rank(); ++axis) sizes.push_back(batch.size(axis));
  Tensor sample = Tensor::empty(Shape(sizes));
  const int64_t numbers = sample.numel();
  std::memcpy(sample.mutable_data<float>(), batch.data<float>() + index * numbers,
              static_cast<size_t>(sample.bytes()));
  return sample;
}

// The images, made ready for the network; those that cannot be read are left out of x.
struct Inputs {
  Tensor x{};                         // f32 [N,C,H,W], channels last; undefined: none could be read
  std::vector<std::string> faults{};  // of each image; "": it is in x
};

Inputs inputs_of(const io::Dataset& images, int64_t begin, int64_t end, const io::Preprocess& p,
                 const train::Input& input) {
  const int64_t numbers = p.channels * p.pixels();
  std::vector<float> made(static_cast<size_t>((end - begin) * numbers));
  Inputs inputs{{}, std::vector<std::string>(static_cast<size_t>(end - begin))};
  current_context().parallel_for(end - begin, [&](int64_t i) {
    try {
      input.maker(p, {})->input(images, begin + i, nullptr, made.data() + i * numbers);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_input) throw;
      inputs.faults[static_cast<size_t>(i)] = error.what();
    }
  });
  const int64_t whole = std::count(inputs.faults.begin(), inputs.faults.end(), "");
  if (whole == 0) return inputs;
  inputs.x = Tensor::empty({whole, p.channels, p.size, p.input_width()},
                           {.format = MemoryFormat::channels_last});
  float* to = inputs.x.mutable_data<float>();
  for (int64_t i = 0; i < end - begin; ++i)
    if (inputs.faults[static_cast<size_t>(i)].empty())
      to = std::copy_n(made.data() + i * numbers, numbers, to);
  return inputs;
}

}  // namespace

DType precision_named(const std::string& name) {
  if (name == "bf16") return DType::bf16;
  if (name == "fp16") return DType::f16;
  if (name != "fp32" && name != "int8")
    fail(ErrorCode::usage, "precision '", name, "' is none of fp32, bf16, fp16, int8");
  return DType::f32;
}

std::span<const float> Answer::row() const {
  GRAFT_CHECK(values_.defined(), "there is no answer: ", error_.empty() ? "empty" : error_);
  return {values_.data<float>(), static_cast<size_t>(values_.numel())};
}

std::vector<train::NamedValue> Answer::said(int64_t most) const {
  GRAFT_CHECK(most >= 0, "an answer's ", most, " likeliest were asked for");
  return shown_->said(row(), most);
}

std::string Answer::text(int64_t most) const {
  const std::span<const float> values = row();
  return shown_->answer_text(values, most);
}

std::string Answer::json(int64_t most) const {
  const std::span<const float> values = row();
  return shown_->answer_json(values, most);
}

bool Answer::is_finite() const {
  const std::span<const float> values = row();
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

// The first stages of a network, and who runs them.
struct FeatureRun {
  std::shared_ptr<StagedNetwork> network;
  train::PrefixRunner run;

  FeatureRun(std::shared_ptr<StagedNetwork> of, size_t stages, DType precision,
             const Calibration& calibration)
      : network(std::move(of)), run(*network, stages, precision, calibration) {}
};

struct Predictor::Impl {
  models::Imported imported;
  PredictorOptions options;
  std::string no_head;                                 // why there are no answers
  std::shared_ptr<const train::Presentation> shown{};  // null: no head
  std::vector<std::string> labels{};
  std::vector<double> thresholds{};
  std::unique_ptr<ExecContext> context{};  // null: the thread's own
  DType precision;
  Calibration calibration{};
  std::shared_ptr<const train::Input> input{};
  std::optional<FeatureRun> all{};  // of every stage
  ForkSafeMutex mutex{};            // guards the map
  std::map<std::string, std::shared_ptr<FeatureRun>> by_stage{};

  Impl(models::Imported given, const PredictorOptions& asked)
      : imported(std::move(given)),
        options(asked),
        no_head(headless_reason(imported)),
        precision(precision_named(asked.precision)) {
    GRAFT_CHECK(imported.model.network, "predictor: there is no network");
    models::ModelCard& card = imported.model.card;
    check_options(options, card);
    card.preprocess.validate();
    input = options.input ? options.input : train::input_of(card.preprocess);
    if (options.precision == "int8") calibration = card.int8;
    if (no_head.empty()) {
      shown = shown_of(imported.model, options.least_confidence);
      labels = shown->output_names();
      thresholds = shown->thresholds();
    }
    if (options.threads > 0) context = std::make_unique<ExecContext>(options.threads);
    StagedNetwork& network = *imported.model.network;
    network.train(false);
    if (!is_cpu(options.device)) open_device(options.device);
    network.to(options.device);
    all.emplace(imported.model.network, network.stages().size(), precision, calibration);
  }

  // Within it the predictor's threads compute.
  class Scope {
   public:
    explicit Scope(const Impl& impl) {
      if (impl.context) scope_.emplace(*impl.context);
    }

   private:
    std::optional<ScopedExecContext> scope_;
  };

  const train::Presentation& meaning() const {
    GRAFT_CHECK(shown, imported.certificate.path.empty() ? "the model" : imported.certificate.path,
                ": ", no_head);
    return *shown;
  }

  std::shared_ptr<FeatureRun> feature_run(const std::string& stage) {
    {
      const std::lock_guard lock(mutex);
      if (const auto found = by_stage.find(stage); found != by_stage.end()) return found->second;
    }
    const std::shared_ptr<FeatureRun> made = make_feature_run(stage);
    const std::lock_guard lock(mutex);
    std::shared_ptr<FeatureRun>& kept = by_stage[stage];
    if (!kept) kept = made;  // else another thread was faster
    return kept;
  }

  std::shared_ptr<FeatureRun> make_feature_run(const std::string& stage) const {
    models::Model model = imported.model;
    size_t stages = model.network->stages().size();
    if (stage.empty()) {
      models::remove_classifier(model);  // of a graph, which then is another network
      stages = model.network->stages().size();
      if (models::classes_of(model.card.architecture) > 0) --stages;
      model.network->to(options.device);
    } else {
      stages = model.network->stage_index(stage) + 1;
    }
    return std::make_shared<FeatureRun>(model.network, stages, precision, calibration);
  }

  // f32 [N,...] on the host, as people read them.
  Tensor readable(const Tensor& x) {
    Tensor values = meaning().readable(all->run(x)).to(MemoryFormat::contiguous);
    GRAFT_CHECK(values.rank() >= 2 && values.size(0) == x.size(0), "the network's answers are ",
                values.shape(), ", numbers for each image are needed");
    return values;
  }

  // An image that the network sees in windows.
  Answer answer_in_windows(const io::Dataset& images, int64_t index) {
    Answer answer;
    answer.shown_ = shown;
    io::Image photo;
    try {
      photo = images.image(index);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_input) throw;
      answer.error_ = error.what();
      return answer;
    }
    answer.values_ =
        sample_of(graft::answers_in_windows(photo, imported.model.card.preprocess,
                                            [this](const Tensor& x) { return readable(x); }),
                  0);
    return answer;
  }

  void answer(const io::Dataset& images, int64_t begin, int64_t end, std::vector<Answer>& answers) {
    if (imported.model.card.preprocess.own_scale) {
      for (int64_t i = begin; i < end; ++i) answers.push_back(answer_in_windows(images, i));
      return;
    }
    Inputs inputs = inputs_of(images, begin, end, imported.model.card.preprocess, *input);
    Tensor values;
    if (inputs.x.defined()) values = readable(inputs.x);
    int64_t answered = 0, index = begin;
    for (std::string& fault : inputs.faults) {
      Answer& answer = answers.emplace_back();
      answer.shown_ = shown;
      if (fault.empty()) {
        answer.values_ = sample_of(values, answered++);
        if (shown->has_places()) place(images, index, answer.values_);
      } else {
        answer.error_ = std::move(fault);
      }
      ++index;
    }
  }

  // Into the pixels of the image, which is decoded for its upright size.
  void place(const io::Dataset& images, int64_t index, Tensor& values) const {
    const io::Image image = images.image(index);
    shown->place(
        {values.mutable_data<float>(), static_cast<size_t>(values.numel())},
        io::input_geometry(imported.model.card.preprocess, {}, image.width, image.height, nullptr));
  }
};

Predictor::Predictor(const std::string& path, const PredictorOptions& options)
    : Predictor(load_any(path, options.import), options) {}
Predictor::Predictor(models::Imported imported, const PredictorOptions& options)
    : impl_(std::make_unique<Impl>(std::move(imported), options)) {}
Predictor::Predictor(Predictor&& other) noexcept = default;
Predictor& Predictor::operator=(Predictor&& other) noexcept = default;
Predictor::~Predictor() = default;

void Predictor::warm_up(int64_t batch) const {
  GRAFT_CHECK(batch >= 1, "warm-up: a batch of ", batch, " images");
  const Impl::Scope scope(*impl_);
  const io::Preprocess& p = preprocess();
  impl_->all->run.warm_up({p.channels, p.size, p.input_width()});
  impl_->all->run(p.zeros(std::min(batch, kImagesAtOnce)));
}

std::vector<Answer> Predictor::predict(std::span<const ImageSource> images) const {
  impl_->meaning();
  const Impl::Scope scope(*impl_);
  const auto dataset = dataset_of(images);
  std::vector<Answer> answers;
  for (int64_t begin = 0; begin < dataset->size(); begin += kImagesAtOnce)
    impl_->answer(*dataset, begin, std::min(dataset->size(), begin + kImagesAtOnce), answers);
  return answers;
}

Answer Predictor::predict(const ImageSource& image) const {
  Answer answer = std::move(predict(std::span(&image, 1)).at(0));
  if (!answer.error_.empty()) bad_input(answer.error_);
  return answer;
}

Tensor Predictor::features(std::span<const ImageSource> images, const std::string& stage) const {
  const Impl::Scope scope(*impl_);
  const std::shared_ptr<FeatureRun> of = impl_->feature_run(stage);
  const auto dataset = dataset_of(images);
  Tensor features;
  for (int64_t begin = 0; begin < dataset->size(); begin += kImagesAtOnce) {
    const int64_t end = std::min(dataset->size(), begin + kImagesAtOnce);
    const Inputs inputs = inputs_of(*dataset, begin, end, preprocess(), *impl_->input);
    for (const std::string& fault : inputs.faults)
      if (!fault.empty()) bad_input(fault);
    const Tensor y = to_device(of->run(inputs.x), {}).to(MemoryFormat::contiguous);
    if (!features.defined()) features = Tensor::empty(y.shape().with(0, dataset->size()));
    std::memcpy(features.mutable_data<float>() + begin * (y.numel() / y.size(0)), y.data<float>(),
                static_cast<size_t>(y.bytes()));
  }
  GRAFT_CHECK(features.defined(), "features: there are no images");
  return features;
}

Tensor Predictor::features(const ImageSource& image, const std::string& stage) const {
  return sample_of(features(std::span(&image, 1), stage), 0);
}

Shape Predictor::feature_shape(const std::string& stage) const {
  const Impl::Scope scope(*impl_);
  const Tensor y = impl_->feature_run(stage)->run(preprocess().zeros(1));
  std::vector<int64_t> sizes;
  for (int64_t axis = 1; axis < y.rank(); ++axis) sizes.push_back(y.size(axis));
  return Shape(sizes);
}

std::vector<std::string> Predictor::stages() const { return model().network->stages(); }
const models::Model& Predictor::model() const { return impl_->imported.model; }
const models::Certificate& Predictor::certificate() const { return impl_->imported.certificate; }
std::string Predictor::task() const {
  return impl_->shown ? task_card_of(card()).name() : std::string();
}
int64_t Predictor::outputs() const { return models::classes_of(card().architecture); }
const std::vector<std::string>& Predictor::labels() const { return impl_->labels; }
const std::vector<double>& Predictor::thresholds() const { return impl_->thresholds; }
const train::Presentation& Predictor::presentation() const { return impl_->meaning(); }
std::string Predictor::refusal() const {
  return impl_->options.precision == "fp32" ? std::string() : impl_->all->run.refusal();
}

}  // namespace graft
