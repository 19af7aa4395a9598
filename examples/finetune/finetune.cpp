// The transfer-learning tutorial in C++: a ResNet-50, a new head for 10 classes, cross-entropy,
// Adam 1e-3, grey 28x28 images, batches of 4. The tutorial feeds one channel to a network of three,
// which fails; here the grey channel is repeated, and the program says so. Usage: finetune DATA
// STEPS [WEIGHTS]     DATA: any data set graft reads, such as a folder of MNIST IDX files;
//                                          WEIGHTS: a pretrained ResNet-50; without it, random
//                                          weights
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "graft/core/autograd/backward.h"
#include "graft/core/base/error.h"
#include "graft/io/datasets/dataset.h"
#include "graft/layers/functional/functional.h"
#include "graft/models/import.h"
#include "graft/models/initialization.h"
#include "graft/train/loader.h"
#include "graft/train/optimizer.h"

namespace {

// transforms.ToTensor() and Normalize((0.5,), (0.5,)), for each of the three repeated channels.
graft::io::Preprocess tutorial_preprocess() {
  graft::io::Preprocess p;
  p.size = 28;
  p.resize_to = 0;
  p.mean = {0.5, 0.5, 0.5};
  p.deviation = {0.5, 0.5, 0.5};
  return p;
}

graft::models::Model make_network(const char* weights, int64_t classes) {
  graft::models::Model model;
  if (weights) {
    graft::models::ImportOptions options;
    options.arch = "resnet50";
    graft::models::Imported imported = graft::models::import_weights(weights, options);
    std::printf("%s", imported.certificate.to_text().c_str());
    model = std::move(imported.model);
  } else {
    model.card.architecture = graft::models::architecture_named("resnet50");
    model.network = graft::models::make_network(model.card.architecture);
    graft::models::initialize(*model.network, 0);
  }
  graft::models::replace_head(*model.network, model.card.architecture, classes, 0);
  return model;
}

void train(const std::string& path, int64_t steps, const char* weights) {
  const graft::io::OpenedData data = graft::io::open_data(path);
  const graft::models::Model model =
      make_network(weights, static_cast<int64_t>(data.classes.size()));
  if (data.train->image(0).channels == 1)
    std::printf("grey images: their one channel is repeated for the network's three\n");
  graft::train::LoaderOptions options;
  options.batch = 4;
  options.shuffle = true;
  options.drop_single = true;  // batch norm cannot train on one image
  graft::train::BatchLoader loader(data.train, tutorial_preprocess(), options);
  graft::train::OptimizerOptions adam;
  adam.name = "adam";
  const auto optimizer = graft::train::make_optimizer(model.network->parameters(), adam);
  model.network->train(true);

  constexpr int64_t kWindow = 50;
  const auto began = std::chrono::steady_clock::now();
  double first_loss = 0, loss_sum = 0;
  int64_t step = 0;
  for (int64_t epoch = 0; step < steps; ++epoch) {
    loader.start(epoch);
    for (graft::train::Batch batch; step < steps && loader.next(batch);) {
      model.network->zero_grad();
      const graft::Tensor loss =
          graft::functional::cross_entropy(model.network->forward(batch.x), batch.targets.one());
      graft::backward(loss);
      optimizer->step(1e-3);
      loss_sum += loss.item();
      if (++step % kWindow != 0) continue;
      const double seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
      std::printf("step %5lld  loss %.4f  %.2f steps/s\n", static_cast<long long>(step),
                  loss_sum / kWindow, static_cast<double>(step) / seconds);
      std::fflush(stdout);
      if (step == kWindow) first_loss = loss_sum / kWindow;
      if (step + kWindow > steps)
        std::printf("loss of the first %lld steps %.4f, of the last %.4f\n",
                    static_cast<long long>(kWindow), first_loss, loss_sum / kWindow);
      loss_sum = 0;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || std::atoll(argv[2]) < 1) {
    std::fprintf(stderr, "usage: finetune DATA STEPS [WEIGHTS]\n");
    return 2;
  }
  try {
    train(argv[1], std::atoll(argv[2]), argc > 3 ? argv[3] : nullptr);
  } catch (const graft::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
