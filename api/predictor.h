// Predictor: a model file ready to answer samples (images, sounds), whatever its task is, from any
// number of threads.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graft/api/image_source.h"
#include "graft/models/import.h"
#include "graft/train/inputs/input.h"
#include "graft/train/tasks/presentation.h"

namespace graft {

// fp32, bf16, fp16; int8 works between values of f32. Error(usage) for another word.
GRAFT_API DType precision_named(const std::string& name);

struct PredictorOptions {
  // fp32, bf16, on a CUDA device fp16; int8 for models that are calibrated for it.
  std::string precision = "fp32";
  Device device{};
  int threads = 0;  // compute threads of its own; 0: those of the process (ExecContext)
  models::ImportOptions import{};  // of a file that is no model of graft
  // Above 0: answers of classes are "don't know" below this probability, labels are said from it
  // on, whatever thresholds the model has. bad_input for models of other tasks.
  double least_confidence = 0;
  // What the samples are, if it is an input of the program's own; null: what the model's card says.
  std::shared_ptr<const train::Input> input{};
};

// The model's answer to one image.
class GRAFT_API Answer {
 public:
  // f32 on the host, without a batch's axis, for classes and labels and numbers [outputs]:
  // probabilities, or numbers in their own unit. Of boxes [100,6]: edges in the image's own pixels
  // (left, top, right, bottom), class and score, the highest first; class -1: no more. Undefined
  // where the image could not be read.
  const Tensor& values() const { return values_; }
  // Of classes the `most` likeliest, or none where the likeliest stays below its threshold (the
  // model's, or least_confidence): then the answer is "don't know". Of several labels those at or
  // above their thresholds, of numbers all.
  std::vector<train::NamedValue> said(int64_t most = 1) const;
  std::string text(int64_t most = 1) const;  // as graft predict writes it: "cat 0.9312"
  std::string json(int64_t most = 1) const;  // an object, as graft predict --json has it
  bool is_finite() const;  // else the values mean nothing: damaged weights, or an overflow
  // Why the image could not be read; "": it could. Of predict() of several images alone.
  const std::string& error() const { return error_; }

 private:
  friend class Predictor;
  std::span<const float> row() const;
  Tensor values_{};
  std::string error_{};
  std::shared_ptr<const train::Presentation> shown_{};
};

// Any number of threads may call one predictor at once, with the bits of one thread; an image's
// answer depends neither on its batch nor on the threads. A moved-from one may only be destroyed.
class GRAFT_API Predictor {
 public:
  // A model of graft, or any weight file that imports. bad_input as import_weights().
  explicit Predictor(const std::string& path, const PredictorOptions& options = {});
  // Of a network at hand, which nobody may train or write meanwhile. options.import is not used.
  explicit Predictor(models::Imported imported, const PredictorOptions& options = {});
  Predictor(Predictor&& other) noexcept;
  Predictor& operator=(Predictor&& other) noexcept;
  ~Predictor();

  // Compiles the network, packs its weights and runs `batch` (at least 1) images of zeros: then the
  // first prediction is as fast as the hundredth.
  void warm_up(int64_t batch = 1) const;

  // Decoded, resized and normalised as in training. Error(bad_input) naming an image that cannot be
  // read, and for a model without a head.
  Answer predict(const ImageSource& image) const;
  // The same of several, in their order; those that cannot be read have an error(). They are
  // computed a few at a time, so that any number fits into memory.
  std::vector<Answer> predict(std::span<const ImageSource> images) const;

  // f32 [N,...]: what leaves the named stage (stages()), or for "" what the head takes, [N,F].
  // Error(bad_input) naming an image that cannot be read, and listing the stages for another name.
  Tensor features(std::span<const ImageSource> images, const std::string& stage = "") const;
  Tensor features(const ImageSource& image, const std::string& stage = "") const;  // [...]
  // Of one image's.
  Shape feature_shape(const std::string& stage = "") const;
  std::vector<std::string> stages() const;

  const models::Model& model() const;
  const models::ModelCard& card() const { return model().card; }
  const io::Preprocess& preprocess() const { return card().preprocess; }
  // What the import understood; of a model of graft its notes alone.
  const models::Certificate& certificate() const;
  // classify, multilabel, regress ...; "": the model has no head, and gives features only.
  std::string task() const;
  int64_t outputs() const;                         // numbers of an answer's values
  const std::vector<std::string>& labels() const;  // the outputs' names, as many
  // Of several labels, and of classes where they were asked for; else empty.
  const std::vector<double>& thresholds() const;
  const train::Presentation& presentation() const;  // bad_input for a model without a head
  // Why answers are computed in fp32 though another precision was asked for; "": they are not.
  std::string refusal() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace graft
