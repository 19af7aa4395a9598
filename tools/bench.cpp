// graft bench: images a second of a network on made-up images, for inference or training; and a
// worker that stands in interleaved comparisons (benchmarks/peers).
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/models/architecture.h"
#include "graft/tools/bench_profile.h"
#include "graft/tools/bench_workload.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/output.h"
#include "graft/tools/verbs.h"

namespace graft::tools {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// The protocol of benchmarks/peers/common.py: a ready line, then "run N" and "quit".
int serve(const BenchFlags& flags, Workload& workload, double startup, double first) {
  const auto emit = [](const nlohmann::ordered_json& line) {
    std::cout << line.dump() << std::endl;
  };
  emit({{"ready", true},
        {"items", flags.batch},
        {"graph", workload.is_recorded()},
        {"startup_s", startup},
        {"first_iter_s", first},
        {"version", GRAFT_VERSION}});
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "quit") break;
    if (line.empty()) continue;
    GRAFT_CHECK(line.starts_with("run ") && line.size() > 4 && line.size() < 12 &&
                    std::all_of(line.begin() + 4, line.end(),
                                [](unsigned char c) { return std::isdigit(c); }),
                "bench --worker: expected 'run N' or 'quit', got '", line, "'");
    emit({{"secs", time_steps(workload, std::stoll(line.substr(4)))}});
  }
  emit({{"peak_rss_mib", peak_rss_mib()}});
  return 0;
}

int bench(BenchFlags flags) {
  flags.train = flags.train || flags.probe;
  GRAFT_CHECK(!flags.train || flags.precision != "int8",
              "bench: --precision int8 is for inference; training is in fp32, bf16 or fp16");
  GRAFT_CHECK(flags.file.empty() || flags.loader.empty(),
              "bench: --loader times no network, so it takes no file");
  const auto start = Clock::now();
  ExecContext context(flags.threads);
  const ScopedExecContext scope(context);
  const Device device = open_named_device(flags.device, flags.precision,
                                          flags.loader.empty() ? "" : "--loader is the CPU's work");
  Workload workload(flags, device);
  const double first = time_steps(workload, 1)[0];
  workload.say_refusal(flags.precision);
  workload.step();
  for (int i = 0; i < 3 && workload.is_to_be_recorded(); ++i) workload.step();
  if (flags.worker) return serve(flags, workload, seconds_since(start), first);
  nlohmann::ordered_json profile = nlohmann::ordered_json::object();
  if (flags.profile) {
    profile = profile_of(context, workload, flags.iterations);
    if (!flags.json) {
      result(profile_text(profile));
      return 0;
    }
  }
  const Allocator& allocator =
      is_cpu(device) ? cpu_allocator() : device_backend(device).allocator(device);
  const int64_t asked_before = allocator.stats().system_calls;
  std::vector<double> seconds = time_steps(workload, flags.iterations);
  const AllocatorStats memory = allocator.stats();
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  nlohmann::ordered_json document = {
      {"model", workload.name()},
      {"kind", workload.kind()},
      {"task", !flags.loader.empty() ? "load " + flags.augment
               : flags.probe         ? "probe"
               : flags.train         ? "train"
                                     : "infer"},
      {"batch", flags.batch},
      {"image_size", workload.image_height()},
      {"image_width", workload.image_width()},
      {"precision", flags.precision},
      {"device", device.to_string()},
      {"graph", workload.is_recorded()},
      {"threads", context.threads()},
      {"instruction_set", std::string(name_of(context.instruction_set()))},
      {"iterations", flags.iterations},
      {"images_per_s", static_cast<double>(flags.batch) / median},
      {"ms_median", median * 1e3},
      {"ms_min", seconds.front() * 1e3},
      {"ms_max", seconds.back() * 1e3},
      {"first_ms", first * 1e3},
      {"peak_rss_mib", peak_rss_mib()},
      {"peak_tensors_mib", static_cast<double>(memory.peak_bytes) / (1 << 20)},
      {"allocator_mib", static_cast<double>(memory.reserved_bytes) / (1 << 20)},
      {"system_allocations", memory.system_calls - asked_before}};
  if (!flags.file.empty()) document["file"] = flags.file;
  if (flags.profile) document["profile"] = std::move(profile);
  if (flags.json) {
    result(document);
    return 0;
  }
  result(str(printable(workload.name()), " ", document["task"].get<std::string>(), ", batch ",
             flags.batch, ", ", workload.image_height(), "x", workload.image_width(), ", ",
             is_cpu(device) ? str(context.threads(), " threads") : device.to_string(), ": ",
             fixed(static_cast<double>(flags.batch) / median, 2), " images/s, ",
             fixed(median * 1e3, 1), " ms a step (median of ", flags.iterations, ", ",
             fixed(seconds.front() * 1e3, 1), " to ", fixed(seconds.back() * 1e3, 1),
             "), peak memory ", fixed(peak_rss_mib(), 0), " MiB\n"));
  return 0;
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("bench", "Speed of a network on this machine, on made-up images");
  auto f = std::make_shared<BenchFlags>();
  auto* file = verb->add_option("FILE", f->file,
                                "A network from any file that imports, in place of --model");
  verb->add_option("--model", f->model, "The network, with random weights")
      ->check(CLI::IsMember(models::architecture_names()))
      ->excludes(file)
      ->type_name("NAME");
  verb->add_option("--batch", f->batch, "Images a step")
      ->transform(whole_number(1, 65536))
      ->type_name("N");
  verb->add_option("--image-size", f->image_size,
                   "Side of an image (otherwise as the file says, or 224)")
      ->transform(whole_number(8, 4096))
      ->type_name("N");
  verb->add_option("--classes", f->classes,
                   "Of a new classifier (otherwise the file's own, or 1000)")
      ->transform(whole_number(1, 1000000))
      ->type_name("N");
  verb->add_option("--iterations", f->iterations,
                   "Steps to time, after two or, on a CUDA device, up to five that are not")
      ->transform(whole_number(1, 1000000))
      ->type_name("N");
  verb->add_option("--optimizer", f->optimizer, "For --train")
      ->check(CLI::IsMember({"sgd", "adam", "adamw"}))
      ->type_name("NAME");
  verb->add_option("--threads", f->threads, "Compute threads (0: one per core)")
      ->transform(whole_number(0, 1024))
      ->type_name("N");
  verb->add_option("--precision", f->precision,
                   "fp32; bf16, on CUDA fp16: activations and, training, their gradients in 16 "
                   "bits; for inference, int8")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16", "int8"}))
      ->type_name("P");
  add_device_flags(*verb, f->device);
  verb->add_flag("--train", f->train, "Training steps of the whole network instead of inference");
  verb->add_flag("--probe", f->probe,
                 "Training steps of the head behind a frozen backbone, features not cached");
  verb->add_flag(
      "--cached", f->cached,
      "With --probe: the frozen backbone's features are computed once, before the first step");
  verb->add_option("--loader", f->loader,
                   "Instead of a network: batches of training input from these images, read and "
                   "decoded every time")
      ->type_name("PATH");
  verb->add_option("--augment", f->augment, "With --loader: none, light or strong")
      ->check(CLI::IsMember({"none", "light", "strong"}))
      ->type_name("NAME");
  verb->add_option("--workers", f->workers,
                   "With --loader: threads that prepare batches (0: the compute threads)")
      ->transform(whole_number(0, 256))
      ->type_name("N");
  verb->add_flag("--no-graph", f->no_graph,
                 "On a CUDA device: every step is queued anew, not repeated from a recording; "
                 "--profile does the same");
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->add_flag("--profile", f->profile,
                 "Where the time goes: a line for each op, shape and kernel");
  verb->add_flag("--worker", f->worker,
                 "Obey 'run N' and 'quit' on standard input: for interleaved comparisons");
  verb->footer(
      "Example:\n  graft bench --model resnet18 --batch 8 --json\n  graft bench mobilenet.onnx "
      "--train --profile");
  verb->callback([&action, f] { action = [f] { return bench(*f); }; });
}

}  // namespace graft::tools
