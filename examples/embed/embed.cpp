// Answers about images in your own program: one model file in, labels or numbers out, whatever the
// model's task is. Usage: embed MODEL IMAGE...      MODEL: model.safetensors of `graft finetune`,
// or any weight file that graft imports
#include <cstdio>

#include "graft/graft.hpp"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: embed MODEL IMAGE...\n");
    return 2;
  }
  try {
    const graft::Predictor predictor(argv[1]);
    for (int i = 2; i < argc; ++i)
      std::printf("%s\t%s\n", argv[i], predictor.predict(argv[i]).text().c_str());
  } catch (const graft::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
