// A training that tells how far it is, and stops when another thread asks. Usage: n_cancel WEIGHTS
// DATA
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include "graft/graft.hpp"
using namespace graft;

int main(int, char** argv) {
  std::atomic<bool> stop{false}, began{false};
  FinetuneOptions options;
  options.recipe.epochs = 1000000;
  options.fit.stop = &stop;
  options.fit.on_progress = [&](const train::Progress&) { began = true; };
  std::thread boss([&] {
    while (!began) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    stop = true;
  });
  bool stopped = false;
  try {
    stopped = finetune(argv[1], argv[2], options).result.interrupted;
  } catch (const Stopped&) {  // before training began
    stopped = true;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    began = true;
  }
  boss.join();
  std::puts(stopped ? "stopped, as asked" : "it ran to its end");
  return stopped ? 0 : 1;
}
