// Fine-tunes a pretrained network with a head of one's own. Usage: custom_head WEIGHTS DATA
#include <cstdio>

#include "graft/core/base/error.h"
#include "graft/models/import.h"
#include "graft/train/fit.h"
#include "two_layers.h"

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: custom_head WEIGHTS DATA\n"), 2;
  try {
    const graft::io::OpenedData data = graft::io::open_data(argv[2]);
    graft::models::Model model = graft::models::import_weights(argv[1]).model;
    const size_t last = model.network->stages().size() - 1;  // the head: its weight is [out,in,...]
    const graft::Tensor weight = model.network->stage_modules(last)[0]->parameters()[0].tensor;
    graft::HeadedNetwork network =
        with_two_layers(model.network, weight.size(1), static_cast<int64_t>(data.classes.size()));
    const graft::train::FitResult result = graft::train::fit(
        network, data, model.card.preprocess, graft::train::default_recipe("backbone"), {});
    std::printf("accuracy %.4f, epoch %lld\n", result.best_score,
                static_cast<long long>(result.best_epoch));
  } catch (const graft::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
}
