// Classify images in your own program: one model file in, labels out; nothing else is needed at run
// time. Usage: embed MODEL IMAGE...      MODEL: model.safetensors of `graft finetune` or `graft
// convert`
#include <cstdio>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/io/images/image.h"
#include "graft/layers/functional/functional.h"
#include "graft/models/model_file.h"

namespace {

void classify(const graft::models::Model& model, const std::string& path) {
  // Decoded, resized, cropped and normalised as in training: the numbers are in the model's card.
  const graft::Tensor image = model.card.preprocess.apply(graft::io::read_image(path));  // [C,H,W]
  const auto& shape = image.shape();
  const graft::Tensor batch =
      image.reshape({1, shape[0], shape[1], shape[2]}).to(graft::MemoryFormat::channels_last);

  const graft::NoGradGuard no_grad;
  const graft::Tensor probabilities =
      graft::functional::softmax(model.network->forward(batch));  // [1,classes]
  const float* p = probabilities.data<float>();
  int64_t best = 0;
  for (int64_t i = 1; i < probabilities.size(1); ++i)
    if (p[i] > p[best]) best = i;
  const std::string label = model.card.labels.empty()
                                ? "class " + std::to_string(best)
                                : model.card.labels[static_cast<size_t>(best)];
  std::printf("%s\t%s %.4f\n", path.c_str(), label.c_str(), static_cast<double>(p[best]));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: embed MODEL IMAGE...\n");
    return 2;
  }
  try {
    const graft::models::Model model = graft::models::load_model(argv[1]);
    for (int i = 2; i < argc; ++i) classify(model, argv[i]);
  } catch (const graft::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
