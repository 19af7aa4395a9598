// bench_gpu: how fast this machine's GPU copies, then graft's own kernels beside that. One JSON
// line a figure on standard output, errors too; where no GPU can be used one line says why. Usage:
// bench_gpu [--batch N] [--rounds N] [--rows memory|convolutions] [--only WORD]
#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "graft/benchmarks/gpu/rows.h"
#include "graft/benchmarks/gpu/tensors.h"
#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/kernels/cuda/backend.h"
#include "graft/kernels/cuda/gpu/handles.h"
#include "graft/kernels/devices.h"

namespace graft::bench {
namespace {

constexpr int kRuns = 10;  // of a kernel between two looks at the clock
using Json = nlohmann::ordered_json;

struct Flags {
  Sizes sizes;
  int rounds = 7;
  std::string only, rows;  // empty: all
};

Flags parse(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--batch")
      flags.sizes.batch = std::max(1, std::atoi(argv[i + 1]));
    else if (flag == "--rounds")
      flags.rounds = std::max(1, std::atoi(argv[i + 1]));
    else if (flag == "--only")
      flags.only = argv[i + 1];
    else if (flag == "--rows")
      flags.rows = argv[i + 1];
    else
      bad_input("bench_gpu: no flag ", flag,
                "; usage: bench_gpu [--batch N] [--rounds N] [--rows memory|convolutions] "
                "[--only WORD]");
  }
  if (!flags.rows.empty() && flags.rows != "memory" && flags.rows != "convolutions")
    bad_input("bench_gpu: --rows is memory or convolutions, not ", flags.rows);
  return flags;
}

void emit(const Json& line) { std::cout << line.dump() << std::endl; }

struct Timing {
  double median = 0, fastest = 0;  // seconds a run
  bool captured = false;
};

// Seconds of one run: `kRuns` at a time, the host waiting at the end of each. As a captured graph,
// so that the time of launching does not count; what cannot be captured is queued.
Timing time_of(gpu::Device& device, int rounds, FunctionRef<void()> run) {
  run();  // fills the pool, builds plans
  device.synchronize();
  const auto several = [&] {
    for (int i = 0; i < kRuns; ++i) run();
  };
  std::unique_ptr<gpu::Graph> graph;
  try {
    graph = std::make_unique<gpu::Graph>(device, several);
  } catch (const Error&) {
  }
  std::vector<double> seconds;
  for (int round = -1; round < rounds; ++round) {
    device.synchronize();
    const auto start = std::chrono::steady_clock::now();
    if (graph)
      graph->launch();
    else
      several();
    device.synchronize();
    if (round >= 0)
      seconds.push_back(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / kRuns);
  }
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front(), graph != nullptr};
}

// Bytes read and written a second by copies within the device, much larger than its caches.
double copy_speed(gpu::Device& device, int rounds) {
  const int64_t bytes = int64_t{1} << 30;
  const Tensor from = noise({bytes}, DType::u8);
  Tensor to = Tensor::empty({bytes}, {.dtype = DType::u8, .device = kGpu});
  const Timing timing = time_of(device, rounds, [&] {
    device.copy(to.mutable_raw(), from.raw(), bytes, gpu::CopyKind::on_device);
  });
  const double speed = 2 * static_cast<double>(bytes) / timing.median;
  emit({{"kernel", "copy"},
        {"tensors", "1 GiB"},
        {"us", timing.median * 1e6},
        {"us_min", timing.fastest * 1e6},
        {"gb_s", speed * 1e-9}});
  return speed;
}

void measure(gpu::Device& device, const Flags& flags, const RowMaker& maker, double copy) {
  if (maker.name.find(flags.only) == std::string::npos) return;
  Json line{{"kernel", maker.name}};
  try {
    Row row = maker.make(flags.sizes);
    line["kernel"] = row.name, line["tensors"] = row.tensors;
    const Timing timing = time_of(device, flags.rounds, row.run);
    line["us"] = timing.median * 1e6, line["us_min"] = timing.fastest * 1e6,
    line["timed"] = timing.captured ? "graph" : "queue";
    if (row.bytes > 0) {
      line["bytes"] = row.bytes, line["gb_s"] = row.bytes / timing.median * 1e-9,
      line["share_of_copy"] = row.bytes / timing.median / copy;
      line["fits_l2"] = row.bytes < static_cast<double>(device.properties().l2_bytes);
    }
    if (row.flops > 0) line["tflop_s"] = row.flops / timing.median * 1e-12;
  } catch (const Error& error) {
    line["error"] = error.what();
  }
  emit(line);
}

int run(const Flags& flags) {
  try {
    open_device(kGpu);
  } catch (const Error& error) {
    emit({{"skipped", error.what()}});
    return 0;
  }
  const NoGradGuard no_gradients;
  gpu::Device& device = cuda::device_of(Tensor::empty({1}, {.device = kGpu}));
  const double copy = copy_speed(device, flags.rounds);
  if (flags.rows != "convolutions")
    for (const RowMaker& maker : memory_rows()) measure(device, flags, maker, copy);
  if (flags.rows != "memory")
    for (const RowMaker& maker : convolution_rows()) measure(device, flags, maker, copy);
  return 0;
}

}  // namespace
}  // namespace graft::bench

int main(int argc, char** argv) {
  try {
    return graft::bench::run(graft::bench::parse(argc, argv));
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
