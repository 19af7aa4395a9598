// Eight threads ask one model: the bits of one thread. Usage: i_eight_threads MODEL PHOTO
#include <atomic>
#include <cstdio>
#include <thread>

#include "graft/graft.hpp"

int main(int, char** argv) {
  const graft::Predictor predictor(argv[1]);
  predictor.warm_up();
  const auto alone = predictor.predict(argv[2]).values().to_doubles();
  std::atomic<int> different{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int round = 0; round < 10; ++round)
        different += predictor.predict(argv[2]).values().to_doubles() != alone;
    });
  for (std::thread& thread : threads) thread.join();
  std::printf("%d of 80 answers differ from one thread's\n", different.load());
  return different ? 1 : 0;
}
