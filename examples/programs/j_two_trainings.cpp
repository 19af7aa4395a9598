// Two trainings in two threads: the bits of one after the other. Usage: j_two_trainings WEIGHTS
// DATA
#include <cstdio>
#include <thread>

#include "graft/graft.hpp"
using namespace graft;

std::vector<double> losses(const char* weights, const char* data, uint64_t seed) {
  ExecContext threads(1);  // of its own
  const ScopedExecContext scope(threads);
  FinetuneOptions options;
  options.recipe.epochs = 2;
  options.recipe.seed = seed;
  std::vector<double> all;
  options.fit.on_epoch = [&](const train::EpochMetrics& epoch) { all.push_back(epoch.loss); };
  static_cast<void>(finetune(weights, data, options));
  return all;
}

int main(int, char** argv) {
  const auto first = losses(argv[1], argv[2], 1), second = losses(argv[1], argv[2], 2);
  std::vector<double> first_again, second_again;
  std::thread one([&] { first_again = losses(argv[1], argv[2], 1); });
  std::thread other([&] { second_again = losses(argv[1], argv[2], 2); });
  one.join();
  other.join();
  const bool same = first == first_again && second == second_again;
  std::printf("losses %.4f and %.4f, at once %s\n", first.back(), second.back(),
              same ? "the same bits" : "others");
  return same ? 0 : 1;
}
