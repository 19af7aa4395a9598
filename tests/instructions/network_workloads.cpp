// Training steps, inference, compilation of a plan and import, of small networks with made-up
// values.
#include <cmath>
#include <memory>
#include <optional>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/models/architecture.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/import.h"
#include "graft/models/onnx_export.h"
#include "graft/tests/instructions/workload.h"
#include "graft/train/features.h"
#include "graft/train/optimizer.h"
#include "graft/train/tasks/classification/classification.h"
#include "graft/train/training_step.h"

namespace graft::instructions {
namespace {

// Cheap numbers in +-1: drawing the normals of 25 million weights would take longer than the rest.
void fill_wave(Tensor& t, double scale) {
  float* p = t.mutable_data<float>();
  uint32_t state = 1;
  for (int64_t i = 0; i < t.numel(); ++i) {
    state = state * 1664525 + 1013904223;
    p[i] = static_cast<float>(scale) * (static_cast<float>(state >> 8) * 0x1p-23F - 1);
  }
}

std::shared_ptr<StagedNetwork> make_filled(const models::Architecture& architecture) {
  std::shared_ptr<StagedNetwork> network = models::make_network(architecture);
  for (NamedTensor p : network->parameters())
    if (p.tensor.rank() > 1) {
      const auto fan = static_cast<double>(p.tensor.numel() / p.tensor.size(0));
      fill_wave(p.tensor, std::sqrt(3 / fan));
    }
  return network;
}

Tensor images(int64_t batch, int64_t size) {
  Tensor x = Tensor::empty({batch, 3, size, size}, {.format = MemoryFormat::channels_last});
  fill_wave(x, 1);
  return x;
}

// ResNet-50's blocks, one a stage: all of its kinds of layer with a fraction of its parameters.
models::Architecture small_resnet(int64_t stages) {
  models::ResNetConfig config = models::resnet_config("resnet50");
  config.depths = {1, 1, 1, 1};
  config.stages = stages;
  config.classes = 10;
  return config;
}
models::Architecture mobilenet() {
  models::FeatureConfig config;
  config.name = "mobilenet_v2";
  config.classes = 10;
  return config;
}

struct Training {
  std::shared_ptr<StagedNetwork> network;
  std::unique_ptr<train::Optimizer> optimizer;
  train::Batch batch;
  train::Classification task{10};
  std::unique_ptr<train::TrainingStep> step;
};

Prepare training(const models::Architecture& architecture, int64_t batch, int64_t size,
                 const std::string& optimizer, DType activations = DType::f32) {
  return [=] {
    auto training = std::make_shared<Training>();
    training->network = make_filled(architecture);
    training->network->train(true);
    training->optimizer =
        train::make_optimizer(training->network->parameters(), {.name = optimizer});
    training->batch = {images(batch, size), Tensor::zeros({batch}, {.dtype = DType::i64}), {}};
    training->step = std::make_unique<train::TrainingStep>(
        *training->network, 0, training->task, *training->optimizer,
        train::StepOptions{.activations = activations});
    return [training] { training->step->run(training->batch, 1e-3); };
  };
}

struct Inference {
  std::shared_ptr<StagedNetwork> network;
  std::optional<train::PrefixRunner> run;
  Tensor x;
};

std::shared_ptr<Inference> inference_of(std::shared_ptr<StagedNetwork> network, Tensor x,
                                        DType precision = DType::f32, bool int8 = false) {
  auto inference = std::make_shared<Inference>();
  inference->network = std::move(network);
  inference->network->train(false);
  inference->x = std::move(x);
  Calibration ranges;
  const size_t stages = inference->network->stages().size();
  if (int8) {
    RangeObserver observer;
    train::PrefixRunner(*inference->network, stages).observe(inference->x, observer);
    ranges = observer.calibration();
  }
  inference->run.emplace(*inference->network, stages, precision, ranges);
  return inference;
}

// The third run: what a plan does once for a size of images is done.
std::function<void()> repeated(const std::shared_ptr<Inference>& inference) {
  for (int i = 0; i < 2; ++i) (*inference->run)(inference->x);
  return [inference] { (*inference->run)(inference->x); };
}

Prepare inference(const models::Architecture& architecture, int64_t batch, int64_t size,
                  DType precision = DType::f32, bool int8 = false) {
  return [=] {
    return repeated(inference_of(make_filled(architecture), images(batch, size), precision, int8));
  };
}

// From a network that never ran to its first answer: trace, folding, fusing, packing, running.
Prepare compilation(const models::Architecture& architecture) {
  return [=] {
    auto inference = inference_of(make_filled(architecture), images(1, 32));
    return [inference] { (*inference->run)(inference->x); };
  };
}

// The same network by way of ONNX.
io::onnx::Model as_onnx(const models::Architecture& architecture) {
  models::ModelCard card;
  card.architecture = architecture;
  card.preprocess.size = 16;
  const auto network = make_filled(architecture);
  network->train(false);
  io::onnx::Model model = models::to_onnx(*network, card);
  model.metadata.clear();
  return model;
}

Prepare graph_inference(const models::Architecture& architecture) {
  return [=] {
    models::Imported imported = models::import_graph(as_onnx(architecture), {});
    return repeated(inference_of(imported.model.network, images(1, 16)));
  };
}

// A pickled file's tensors, and a graph; without the file's SHA-256, which would be most of it.
Prepare import_of(const models::Architecture& architecture) {
  return [=] {
    const auto model = std::make_shared<io::onnx::Model>(as_onnx(architecture));
    return [model] {
      const io::WeightFile file = io::read_weights("examples/pretrained/cifar10_resnet20.th");
      GRAFT_CHECK(file.tensors.size() > 0, "no tensors");
      GRAFT_CHECK(models::import_graph(*model, {}).model.network != nullptr, "no network");
    };
  };
}

}  // namespace

// Small, because valgrind computes each lane of a fused multiply-add in a function of its own: a
// hundred million of them take ten seconds.
std::vector<NamedWorkload> network_workloads() {
  const models::Architecture cifar = models::architecture_named("cifar_resnet20");
  return {{"resnet_train", training(small_resnet(3), 1, 32, "sgd")},
          {"resnet_infer", inference(small_resnet(3), 1, 32)},
          {"mobilenet_train", training(mobilenet(), 2, 32, "sgd")},
          {"mobilenet_infer", inference(mobilenet(), 2, 32)},
          {"bf16_train", training(cifar, 1, 16, "sgd", DType::bf16)},
          // The tutorial's step, images of 28 pixels and Adam, on fewer blocks.
          {"tutorial_step", training(small_resnet(4), 2, 28, "adam")},
          {"graph_infer", graph_inference(cifar)},
          {"int8_infer", inference(cifar, 1, 16, DType::f32, true)},
          {"plan_compile", compilation(mobilenet())},
          {"import", import_of(cifar)}};
}

void save_small_model(const std::string& path) {
  models::ModelCard card;
  card.architecture = models::architecture_named("cifar_resnet20");
  card.preprocess.size = 32;
  models::save_model(path, *make_filled(card.architecture), card);
}

}  // namespace graft::instructions
