// Fine-tunes a pretrained network with a loss of one's own. Usage: custom_loss WEIGHTS DATA
#include <cstdio>

#include "confidence_penalty.h"
#include "graft/core/base/error.h"
#include "graft/models/import.h"
#include "graft/train/fit.h"

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: custom_loss WEIGHTS DATA\n"), 2;
  try {
    const graft::io::OpenedData data = graft::io::open_data(argv[2]);
    const auto classes = static_cast<int64_t>(data.classes.size());
    graft::models::Model model = graft::models::import_weights(argv[1]).model;
    graft::models::replace_head(*model.network, model.card.architecture, classes, 0);
    graft::train::FitOptions options;
    options.task = std::make_shared<ConfidencePenalty>(classes);
    const graft::train::FitResult result =
        graft::train::fit(*model.network, data, model.card.preprocess,
                          graft::train::default_recipe("backbone"), options);
    std::printf("accuracy %.4f, epoch %lld\n", result.best_score,
                static_cast<long long>(result.best_epoch));
  } catch (const graft::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
}
