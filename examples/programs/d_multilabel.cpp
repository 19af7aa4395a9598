// Several labels an image, each with a threshold chosen on the validation part. Usage: d_multilabel
// WEIGHTS TABLE OUT
#include <cstdio>

#include "graft/graft.hpp"
using namespace graft;

int main(int, char** argv) {
  FinetuneOptions options;
  options.task = "multilabel";
  options.recipe.epochs = 10;
  const Finetuned made = finetune(argv[1], argv[2], options);
  write_by_extension(argv[3], made.model);
  const Predictor predictor(argv[3]);
  for (size_t i = 0; i < predictor.labels().size(); ++i)
    std::printf("%-9s from %.3f on\n", predictor.labels()[i].c_str(), predictor.thresholds()[i]);
  const io::OpenedData data = io::open_data(argv[2], {.answers = io::AnswerKind::several_labels});
  for (int64_t i = 0; i < data.val->size(); ++i) {
    std::printf("%s:", data.val->name(i).c_str());
    for (const train::NamedValue& said : predictor.predict(data.val->image(i)).said())
      std::printf(" %s", said.name.c_str());
    std::printf("\n");
  }
}
