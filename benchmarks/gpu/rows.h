// What bench_gpu measures: graft's own CUDA kernels at the shapes of ResNet-50, each with the bytes
// that it has to move at least.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace graft::bench {

// ResNet-50's shapes by default. Tests take others, which the emulator can do.
struct Sizes {
  int64_t batch = 256, image = 224, width = 64, classes = 1000;
  std::string network = "resnet50";  // whose parameters an optimizer moves
};

// One kernel, ready to run on cuda:0. `bytes` counts each tensor once for each pass over it that
// the formula needs (a batch norm's backward reads x and dy twice); 0: not bound by memory.
// `flops`: of a convolution, else 0.
struct Row {
  std::string name{}, tensors{};
  double bytes = 0, flops = 0;
  std::function<void()> run{};
};

// A row takes gigabytes: make one at a time.
struct RowMaker {
  std::string name;
  std::function<Row(const Sizes&)> make;
};
std::vector<RowMaker> memory_rows();       // bound by memory
std::vector<RowMaker> convolution_rows();  // three passes of ResNet-50's layers, by cuDNN and the
                                           // tensor-core kernels that the open GPU has

}  // namespace graft::bench
