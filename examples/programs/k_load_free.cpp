// Loads, predicts and frees, many times, in the same memory. Usage: k_load_free MODEL PHOTO ROUNDS
#include <cstdio>
#include <cstdlib>

#include "graft/core/tensor/allocator.h"
#include "graft/graft.hpp"

int main(int, char** argv) {
  int64_t after_first = 0, live = 0;
  for (int round = 0; round < std::atoi(argv[3]); ++round) {
    static_cast<void>(graft::Predictor(argv[1]).predict(argv[2]));
    live = graft::cpu_allocator().stats().live_bytes;
    if (round == 0) after_first = live;
  }
  std::printf("bytes held after the first round %lld, after the last %lld\n",
              static_cast<long long>(after_first), static_cast<long long>(live));
  return live < after_first + (1 << 20) ? 0 : 1;
}
