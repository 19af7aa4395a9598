// The engine's passes on ResNet-50's convolutions, and on depthwise and grouped ones, one benchmark
// a pass and layer, element-wise functions, rows and exchanges of axes: GFLOP/s, GB/s (each tensor
// moved once) and both as shares of what this machine does at best, which is measured first.
// BENCH_BATCH (8), BENCH_THREADS (2) and BENCH_DTYPE (f32, bf16: forward only) in the environment;
// else Google Benchmark's flags: bench_ops --benchmark_filter=forward
// --benchmark_format=json
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "graft/core/runtime/random.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/fused_conv.h"
#include "graft/kernels/ops/normalize.h"
#include "graft/kernels/ops/softmax.h"
#include "graft/kernels/ops/take.h"
#include "graft/kernels/ops/unary.h"
#include "graft/kernels/registry.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using namespace graft;

struct Layer {
  const char* name;
  int64_t c, k, size, filter, stride, padding;
  int count;  // of such layers in ResNet-50; of others in their own network
  int64_t groups = 1;
};

const Layer layers[] = {
    {"7x7s2 3>64 @224", 3, 64, 224, 7, 2, 3, 1},
    {"1x1 64>64 @56", 64, 64, 56, 1, 1, 0, 1},
    {"3x3 64>64 @56", 64, 64, 56, 3, 1, 1, 3},
    {"1x1 64>256 @56", 64, 256, 56, 1, 1, 0, 4},
    {"1x1 256>64 @56", 256, 64, 56, 1, 1, 0, 2},
    {"1x1 256>128 @56", 256, 128, 56, 1, 1, 0, 1},
    {"3x3s2 128>128 @56", 128, 128, 56, 3, 2, 1, 1},
    {"1x1 128>512 @28", 128, 512, 28, 1, 1, 0, 4},
    {"1x1s2 256>512 @56", 256, 512, 56, 1, 2, 0, 1},
    {"1x1 512>128 @28", 512, 128, 28, 1, 1, 0, 3},
    {"3x3 128>128 @28", 128, 128, 28, 3, 1, 1, 3},
    {"1x1 512>256 @28", 512, 256, 28, 1, 1, 0, 1},
    {"3x3s2 256>256 @28", 256, 256, 28, 3, 2, 1, 1},
    {"1x1 256>1024 @14", 256, 1024, 14, 1, 1, 0, 6},
    {"1x1s2 512>1024 @28", 512, 1024, 28, 1, 2, 0, 1},
    {"1x1 1024>256 @14", 1024, 256, 14, 1, 1, 0, 5},
    {"3x3 256>256 @14", 256, 256, 14, 3, 1, 1, 5},
    {"1x1 1024>512 @14", 1024, 512, 14, 1, 1, 0, 1},
    {"3x3s2 512>512 @14", 512, 512, 14, 3, 2, 1, 1},
    {"1x1 512>2048 @7", 512, 2048, 7, 1, 1, 0, 3},
    {"1x1s2 1024>2048 @14", 1024, 2048, 14, 1, 2, 0, 1},
    {"1x1 2048>512 @7", 2048, 512, 7, 1, 1, 0, 2},
    {"3x3 512>512 @7", 512, 512, 7, 3, 1, 1, 2},
    // MobileNetV2's depthwise layers.
    {"dw 3x3 32 @112", 32, 32, 112, 3, 1, 1, 1, 32},
    {"dw 3x3s2 96 @112", 96, 96, 112, 3, 2, 1, 1, 96},
    {"dw 3x3 144 @56", 144, 144, 56, 3, 1, 1, 1, 144},
    {"dw 3x3 192 @28", 192, 192, 28, 3, 1, 1, 2, 192},
    {"dw 3x3 384 @14", 384, 384, 14, 3, 1, 1, 4, 384},
    {"dw 3x3s2 576 @14", 576, 576, 14, 3, 2, 1, 1, 576},
    {"dw 3x3 960 @7", 960, 960, 7, 3, 1, 1, 3, 960},
    // EfficientNet-B0's and ConvNeXt's windows.
    {"dw 5x5 240 @28", 240, 240, 28, 5, 1, 2, 1, 240},
    {"dw 5x5s2 672 @14", 672, 672, 14, 5, 2, 2, 1, 672},
    {"dw 7x7 96 @56", 96, 96, 56, 7, 1, 3, 3, 96},
    // ResNeXt-50's groups.
    {"3x3g32 128>128 @56", 128, 128, 56, 3, 1, 1, 3, 32},
    {"3x3g32 256>256 @28", 256, 256, 28, 3, 1, 1, 3, 32},
    {"3x3g32 512>512 @14", 512, 512, 14, 3, 1, 1, 5, 32},
    {"3x3g32 1024>1024 @7", 1024, 1024, 7, 3, 1, 1, 2, 32},
    {"3x3s2g32 256>256 @56", 256, 256, 56, 3, 2, 1, 1, 32},
};

std::string from_environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value ? value : otherwise;
}

Tensor random(const Shape& shape, MemoryFormat format, DType dtype) {
  Tensor t = Tensor::empty(shape, {.dtype = dtype, .format = format});
  CountedRandom numbers(1, RandomPurpose::synthetic);
  fill_uniform(t, -0.5, 0.5, numbers);
  return t;
}

// What a thread's multiplying units do at best: independent chains in registers. Returns GFLOP.
double multiply_adds(bool bf16, int64_t rounds) {
#if defined(__x86_64__)
  constexpr int chains = 16;
  const auto wide = [&]() __attribute__((target("avx512f"))) {
    __m512 sums[chains];
    for (__m512& s : sums) s = _mm512_set1_ps(1);
    const __m512 x = _mm512_set1_ps(0.999F), y = _mm512_set1_ps(1e-3F);
    for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
      for (int c = 0; c < chains; ++c) sums[c] = _mm512_fmadd_ps(sums[c], x, y);
    }
    for (int c = 1; c < chains; ++c) sums[0] += sums[c];
    benchmark::DoNotOptimize(sums[0]);
    return 2e-9 * 16 * chains * static_cast<double>(rounds);
  };
  const auto pairs = [&]() __attribute__((target("avx512f,avx512bf16"))) {
    __m512 sums[chains];
    for (__m512& s : sums) s = _mm512_set1_ps(1);
    const auto x = (__m512bh)_mm512_set1_epi32(0x3c003c00);
    for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
      for (int c = 0; c < chains; ++c) sums[c] = _mm512_dpbf16_ps(sums[c], x, x);
    }
    for (int c = 1; c < chains; ++c) sums[0] += sums[c];
    benchmark::DoNotOptimize(sums[0]);
    return 4e-9 * 16 * chains * static_cast<double>(rounds);
  };
  const auto narrow = [&]() __attribute__((target("avx2,fma"))) {
    __m256 sums[chains / 2];
    for (__m256& s : sums) s = _mm256_set1_ps(1);
    const __m256 x = _mm256_set1_ps(0.999F), y = _mm256_set1_ps(1e-3F);
    for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
      for (int c = 0; c < chains / 2; ++c) sums[c] = _mm256_fmadd_ps(sums[c], x, y);
    }
    for (int c = 1; c < chains / 2; ++c) sums[0] += sums[c];
    benchmark::DoNotOptimize(sums[0]);
    return 2e-9 * 8 * (chains / 2) * static_cast<double>(rounds);
  };
  const InstructionSet set = machine_instruction_set();
  if (bf16 && set >= InstructionSet::avx512_bf16) return pairs();
  if (set >= InstructionSet::avx512) return wide();
  if (set == InstructionSet::avx2) return narrow();
#endif
  static_cast<void>(bf16), static_cast<void>(rounds);
  return 0;
}

struct Peak {
  double gflops, gigabytes_read;
};

template <class F>
double best_seconds(int times, F&& f) {
  double best = 1e30;
  for (int i = 0; i < times; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

Peak measure_peak(ExecContext& context, bool bf16) {
  std::vector<double> done(static_cast<size_t>(context.threads()));
  const auto each = [&](auto&& f) { context.parallel_for(context.threads(), f); };
  double gflop = 0;
  const double seconds = best_seconds(5, [&] {
    each([&](int64_t i) { done[static_cast<size_t>(i)] = multiply_adds(bf16, 20'000'000); });
    gflop = 0;
    for (const double d : done) gflop += d;
  });
  constexpr int64_t words = int64_t{32} << 20;  // 256 MiB
  std::vector<uint64_t> memory(static_cast<size_t>(words), 1);
  const int64_t part = words / context.threads();
  const double reading = best_seconds(5, [&] {
    each([&](int64_t t) {
      uint64_t sum = 0;
      for (int64_t i = t * part; i < (t + 1) * part; ++i) sum += memory[static_cast<size_t>(i)];
      benchmark::DoNotOptimize(sum);
    });
  });
  return {gflop / seconds, static_cast<double>(words) * 8e-9 / reading};
}

enum class Pass { forward, backward_data, backward_weight };

class Case {
 public:
  Case(ExecContext& context, const Peak& peak, Pass pass, const Layer& layer, int64_t batch,
       DType dtype)
      : context_(context), peak_(peak), pass_(pass), fused_{{}, ops::FusedActivation::relu} {
    fused_.conv.window = ops::square_window(layer.filter, layer.stride, layer.padding);
    const auto nhwc = MemoryFormat::channels_last;
    x_ = random({batch, layer.c, layer.size, layer.size}, nhwc, dtype);
    fused_.conv.groups = layer.groups;
    weight_ = random({layer.k, layer.c / layer.groups, layer.filter, layer.filter},
                     MemoryFormat::contiguous, DType::f32);
    bias_ = random({layer.k}, MemoryFormat::contiguous, DType::f32);
    y_ = random(ops::conv_output_shape(x_.shape(), weight_.shape(), fused_.conv), nhwc, dtype);
    kernels_for<ops::FusedConvKernels>(weight_).pack(context_, {weight_, fused_, packed_});
  }

  void run(benchmark::State& state) {
    call();
    for (auto _ : state) call();
    const double gflop = 2e-9 * static_cast<double>(y_.numel()) *
                         static_cast<double>(weight_.numel() / weight_.size(0));
    const double gigabytes = 1e-9 * static_cast<double>(x_.bytes() + y_.bytes() + weight_.bytes());
    using Rate = benchmark::Counter;
    const auto rate = Rate::kIsIterationInvariantRate;
    state.counters["GFLOP/s"] = Rate(gflop, rate);
    state.counters["GB/s"] = Rate(gigabytes, rate);
    if (peak_.gflops > 0) state.counters["of_peak"] = Rate(gflop / peak_.gflops, rate);
    state.counters["of_memory"] = Rate(gigabytes / peak_.gigabytes_read, rate);
  }

 private:
  void call() {
    const ops::ConvKernels& conv = kernels_for<ops::ConvKernels>(x_);
    if (pass_ == Pass::forward)
      kernels_for<ops::FusedConvKernels>(x_).forward(
          context_, {x_, weight_, packed_.get(), &bias_, nullptr, fused_, y_});
    else if (pass_ == Pass::backward_data)
      conv.backward_data(context_, {y_, weight_, fused_.conv, x_});
    else
      conv.backward_weight(context_, {x_, y_, fused_.conv, &weight_, nullptr});
  }

  ExecContext& context_;
  const Peak& peak_;
  Pass pass_;
  ops::FusedConvAttributes fused_;
  Tensor x_, weight_, bias_, y_;
  std::shared_ptr<const ops::PackedWeight> packed_;
};

// Element-wise functions of an image [batch, 96, 56, 56]: bound by memory at best.
const std::pair<const char*, ops::UnaryAttributes> functions[] = {
    {"exp", {ops::Unary::exp}},
    {"tanh", {ops::Unary::tanh}},
    {"erf", {ops::Unary::erf}},
    {"sigmoid", {ops::Unary::sigmoid}},
    {"silu", {ops::Unary::silu}},
    {"gelu", {ops::Unary::gelu}},
    {"hard_swish", {ops::Unary::hard_swish}},
    {"clip", {ops::Unary::clip, 0, 6}},
};

void run_function(benchmark::State& state, ExecContext& context, const Peak& peak,
                  const ops::UnaryAttributes& function, bool backward, const Shape& shape,
                  DType dtype) {
  const Tensor x = random(shape, MemoryFormat::channels_last, dtype);
  Tensor y = Tensor::empty_like(x), dx = Tensor::empty_like(x);
  const ops::UnaryKernels& kernels = kernels_for<ops::UnaryKernels>(x);
  const auto call = [&] {
    if (backward)
      kernels.backward(context, {x, y, x, function, dx});
    else
      kernels.forward(context, {x, function, y});
  };
  kernels.forward(context, {x, function, y});
  for (auto _ : state) call();
  const double gigabytes = 1e-9 * static_cast<double>((backward ? 4 : 2) * x.bytes());
  using Rate = benchmark::Counter;
  state.counters["GB/s"] = Rate(gigabytes, Rate::kIsIterationInvariantRate);
  state.counters["of_memory"] =
      Rate(gigabytes / peak.gigabytes_read, Rate::kIsIterationInvariantRate);
}

void count_bytes(benchmark::State& state, const Peak& peak, int64_t bytes) {
  const double gigabytes = 1e-9 * static_cast<double>(bytes);
  using Rate = benchmark::Counter;
  state.counters["GB/s"] = Rate(gigabytes, Rate::kIsIterationInvariantRate);
  state.counters["of_memory"] =
      Rate(gigabytes / peak.gigabytes_read, Rate::kIsIterationInvariantRate);
}

// ViT-B/16's rows: attention's softmax and layer norm.
void run_softmax(benchmark::State& state, ExecContext& context, const Peak& peak, bool backward,
                 int64_t batch, DType dtype) {
  const Tensor x = random({batch * 12 * 197, 197}, MemoryFormat::contiguous, dtype);
  Tensor y = Tensor::empty_like(x), dx = Tensor::empty_like(x);
  const ops::SoftmaxAttributes attributes{1, false};
  const ops::SoftmaxKernels& kernels = kernels_for<ops::SoftmaxKernels>(x);
  kernels.forward(context, {x, attributes, y});
  for (auto _ : state)
    if (backward)
      kernels.backward(context, {y, x, attributes, dx});
    else
      kernels.forward(context, {x, attributes, y});
  count_bytes(state, peak, (backward ? 3 : 2) * x.bytes());
}
void run_layer_norm(benchmark::State& state, ExecContext& context, const Peak& peak, bool backward,
                    int64_t batch, DType dtype) {
  const Tensor x = random({batch * 197, 768}, MemoryFormat::contiguous, dtype);
  Tensor y = Tensor::empty_like(x), dx = Tensor::empty_like(x),
         scales = Tensor::empty({x.size(0)}, {.dtype = DType::f64});
  const ops::NormalizeAttributes attributes{1, 1e-6, true};
  const ops::NormalizeKernels& kernels = kernels_for<ops::NormalizeKernels>(x);
  kernels.forward(context, {x, attributes, y, &scales});
  for (auto _ : state)
    if (backward)
      kernels.backward(context, {y, scales, x, attributes, dx});
    else
      kernels.forward(context, {x, attributes, y, &scales});
  count_bytes(state, peak, (backward ? 3 : 2) * x.bytes());
}

// Attention's heads, ShuffleNet's shuffle of channels, the two orders of an image.
struct Exchange {
  const char* name;
  Shape shape;  // behind the batch
  std::vector<int> order;
};
const Exchange exchanges[] = {
    {"heads 197x12x64", {197, 12, 64}, {0, 2, 1, 3}},
    {"transposed heads 197x12x64", {197, 12, 64}, {0, 2, 3, 1}},
    {"shuffle 2x58 @28", {2, 58, 28, 28}, {0, 2, 1, 3, 4}},
    {"channels last 96 @56", {96, 56, 56}, {0, 2, 3, 1}},
};
void run_exchange(benchmark::State& state, ExecContext& context, const Peak& peak,
                  const Exchange& exchange, int64_t batch, DType dtype) {
  std::vector<int64_t> extents{batch};
  for (int i = 0; i < exchange.shape.rank(); ++i) extents.push_back(exchange.shape[i]);
  ops::TakeAttributes attributes;
  for (const int from : exchange.order) attributes.axes.push_back({from, true, {}, 1});
  const Tensor x = random(Shape(extents), MemoryFormat::contiguous, dtype);
  Tensor y = Tensor::empty(ops::take_output_shape(x.shape(), attributes), {.dtype = dtype});
  for (auto _ : state) kernels_for<ops::TakeKernels>(x).forward(context, {x, attributes, y});
  count_bytes(state, peak, 2 * x.bytes());
}

template <class F>
void add_row(const std::string& name, F&& f) {
  benchmark::RegisterBenchmark(name.c_str(), std::forward<F>(f))
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}
void add_rows(ExecContext& context, const Peak& peak, int64_t batch, DType dtype) {
  for (const bool backward : {false, true}) {
    const std::string pass = backward ? "rows backward/" : "rows forward/";
    add_row(pass + "softmax 197", [=, &context, &peak](benchmark::State& state) {
      run_softmax(state, context, peak, backward, batch, dtype);
    });
    add_row(pass + "layer norm 768", [=, &context, &peak](benchmark::State& state) {
      run_layer_norm(state, context, peak, backward, batch, dtype);
    });
  }
  for (const Exchange& exchange : exchanges)
    add_row(std::string("exchange/") + exchange.name,
            [=, &context, &peak, &exchange](benchmark::State& state) {
              run_exchange(state, context, peak, exchange, batch, dtype);
            });
}

int run(int argc, char** argv) {
  const int64_t batch = std::stoll(from_environment("BENCH_BATCH", "8"));
  const bool bf16 = from_environment("BENCH_DTYPE", "f32") == "bf16";
  static ExecContext context(std::stoi(from_environment("BENCH_THREADS", "2")));
  static const Peak peak = measure_peak(context, bf16);
  std::fprintf(stderr, "%d threads: %.0f GFLOP/s in registers, %.1f GB/s read\n", context.threads(),
               peak.gflops, peak.gigabytes_read);
  const std::pair<Pass, const char*> passes[] = {{Pass::forward, "forward"},
                                                 {Pass::backward_data, "backward-data"},
                                                 {Pass::backward_weight, "backward-weight"}};
  for (const auto& [pass, name] : passes) {
    if (bf16 && pass != Pass::forward) continue;
    for (const Layer& layer : layers)
      benchmark::RegisterBenchmark(
          (std::string(name) + "/" + layer.name).c_str(),
          [=, &layer, kind = pass](benchmark::State& state) {
            Case(context, peak, kind, layer, batch, bf16 ? DType::bf16 : DType::f32).run(state);
          })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
  }
  for (const bool backward : {false, true})
    for (const auto& [name, function] : functions)
      benchmark::RegisterBenchmark(
          (std::string("element-wise ") + (backward ? "backward/" : "forward/") + name).c_str(),
          [=, f = function](benchmark::State& state) {
            run_function(state, context, peak, f, backward, {batch, 96, 56, 56},
                         bf16 ? DType::bf16 : DType::f32);
          })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
  add_rows(context, peak, batch, bf16 ? DType::bf16 : DType::f32);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
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
