// Times the engine's passes on ResNet-50's convolutions, one JSON line each.
// Usage: bench_ops [batch=16] [threads=2] [seconds per case=0.3] [passes=fwd,bwd_d,bwd_w] [case filter]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "graft/core/runtime/random.h"
#include "graft/kernels/registry.h"

namespace {

using namespace graft;

struct Layer {
  const char* name;
  int64_t c, k, size, filter, stride, padding;
  int count;  // of such layers in ResNet-50
};

const Layer layers[] = {
    {"7x7s2 3>64 @224", 3, 64, 224, 7, 2, 3, 1},        {"1x1 64>64 @56", 64, 64, 56, 1, 1, 0, 1},
    {"3x3 64>64 @56", 64, 64, 56, 3, 1, 1, 3},          {"1x1 64>256 @56", 64, 256, 56, 1, 1, 0, 4},
    {"1x1 256>64 @56", 256, 64, 56, 1, 1, 0, 2},        {"1x1 256>128 @56", 256, 128, 56, 1, 1, 0, 1},
    {"3x3s2 128>128 @56", 128, 128, 56, 3, 2, 1, 1},    {"1x1 128>512 @28", 128, 512, 28, 1, 1, 0, 4},
    {"1x1s2 256>512 @56", 256, 512, 56, 1, 2, 0, 1},    {"1x1 512>128 @28", 512, 128, 28, 1, 1, 0, 3},
    {"3x3 128>128 @28", 128, 128, 28, 3, 1, 1, 3},      {"1x1 512>256 @28", 512, 256, 28, 1, 1, 0, 1},
    {"3x3s2 256>256 @28", 256, 256, 28, 3, 2, 1, 1},    {"1x1 256>1024 @14", 256, 1024, 14, 1, 1, 0, 6},
    {"1x1s2 512>1024 @28", 512, 1024, 28, 1, 2, 0, 1},  {"1x1 1024>256 @14", 1024, 256, 14, 1, 1, 0, 5},
    {"3x3 256>256 @14", 256, 256, 14, 3, 1, 1, 5},      {"1x1 1024>512 @14", 1024, 512, 14, 1, 1, 0, 1},
    {"3x3s2 512>512 @14", 512, 512, 14, 3, 2, 1, 1},    {"1x1 512>2048 @7", 512, 2048, 7, 1, 1, 0, 3},
    {"1x1s2 1024>2048 @14", 1024, 2048, 14, 1, 2, 0, 1}, {"1x1 2048>512 @7", 2048, 512, 7, 1, 1, 0, 2},
    {"3x3 512>512 @7", 512, 512, 7, 3, 1, 1, 2},
};

Tensor random(const Shape& shape, MemoryFormat format) {
  Tensor t = Tensor::empty(shape, {.format = format});
  uint32_t state = 1;
  float* values = t.mutable_data<float>();
  for (int64_t i = 0; i < t.numel(); ++i) {
    state = state * 1664525u + 1013904223u;
    values[i] = static_cast<float>(state >> 8) * 0x1p-24f - 0.5f;
  }
  return t;
}

struct Times {
  double median, best;  // milliseconds of a call
};

template <class F>
Times milliseconds(double seconds, F&& call) {
  using Clock = std::chrono::steady_clock;
  call();
  std::vector<double> times;
  const auto begin = Clock::now();
  do {
    const auto start = Clock::now();
    call();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  } while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds);
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front()};
}

Times time_pass(ExecContext& context, const std::string& pass, const Layer& layer, int64_t batch, double seconds) {
  ops::ConvAttributes attributes;
  attributes.window = ops::square_window(layer.filter, layer.stride, layer.padding);
  const auto nhwc = MemoryFormat::channels_last;
  Tensor x = random({batch, layer.c, layer.size, layer.size}, nhwc);
  Tensor weight = random({layer.k, layer.c, layer.filter, layer.filter}, MemoryFormat::contiguous);
  Tensor y = random(ops::conv_output_shape(x.shape(), weight.shape(), attributes), nhwc);
  const ops::ConvKernels& kernels = kernels_for(x).conv;
  if (pass == "fwd") return milliseconds(seconds, [&] { kernels.forward(context, {x, weight, nullptr, attributes, y}); });
  if (pass == "bwd_d") return milliseconds(seconds, [&] { kernels.backward_data(context, {y, weight, attributes, x}); });
  return milliseconds(seconds, [&] { kernels.backward_weight(context, {x, y, attributes, &weight, nullptr}); });
}

void print(const std::string& pass, const char* layer, const Times& times, double gflop) {
  std::printf("{\"pass\": \"%s\", \"layer\": \"%s\", \"ms\": %.3f, \"best_ms\": %.3f, \"gflops\": %.1f, \"best_gflops\": %.1f}\n",
              pass.c_str(), layer, times.median, times.best, gflop / times.median * 1e3, gflop / times.best * 1e3);
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  const int64_t batch = argc > 1 ? std::stoll(argv[1]) : 16;
  const int threads = argc > 2 ? std::stoi(argv[2]) : 2;
  const double seconds = argc > 3 ? std::stod(argv[3]) : 0.3;
  const std::string passes = argc > 4 ? argv[4] : "fwd,bwd_d,bwd_w", filter = argc > 5 ? argv[5] : "";
  ExecContext context(threads);
  for (const std::string pass : {"fwd", "bwd_d", "bwd_w"}) {
    if (passes.find(pass) == std::string::npos) continue;
    Times total{};
    double total_gflop = 0;
    for (const Layer& layer : layers) {
      if (!filter.empty() && std::string(layer.name).find(filter) == std::string::npos) continue;
      const auto out = static_cast<double>(layer.size / layer.stride);
      const double gflop = 2e-9 * static_cast<double>(batch * layer.c * layer.k * layer.filter * layer.filter) * out * out;
      const Times times = time_pass(context, pass, layer, batch, seconds);
      print(pass, layer.name, times, gflop);
      total.median += times.median * layer.count;
      total.best += times.best * layer.count;
      total_gflop += gflop * layer.count;
    }
    print(pass, "all", total, total_gflop);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_ops: %s\n", error.what());
    return 1;
  }
}
