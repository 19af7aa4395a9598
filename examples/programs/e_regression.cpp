// A number for an image, in its own unit. Usage: e_regression WEIGHTS TABLE OUT
#include <cmath>
#include <cstdio>

#include "graft/graft.hpp"
using namespace graft;

int main(int, char** argv) {
  FinetuneOptions options;
  options.task = "regress";
  options.recipe.epochs = 10;
  const Finetuned made = finetune(argv[1], argv[2], options);
  write_by_extension(argv[3], made.model);
  const Predictor predictor(argv[3]);
  const io::OpenedData data = io::open_data(argv[2], {.answers = io::AnswerKind::numbers});
  double error = 0;
  for (int64_t i = 0; i < data.val->size(); ++i) {
    const train::NamedValue said = predictor.predict(data.val->image(i)).said().at(0);
    error += std::abs(static_cast<double>(said.value) - data.val->numbers(i).at(0));
  }
  std::printf("mean error %.2f of %s\n", error / static_cast<double>(data.val->size()),
              predictor.labels().at(0).c_str());
}
