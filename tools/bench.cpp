// graft bench: images a second of a network on made-up images, for inference or training; and a
// worker that stands in interleaved comparisons (benchmarks/peers).
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/runtime/random.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/functional.h"
#include "graft/layers/modules/default_values.h"
#include "graft/models/architecture.h"
#include "graft/models/initialization.h"
#include "graft/tools/device.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/verbs.h"
#include "graft/train/features.h"
#include "graft/train/optimizer.h"
#include "graft/train/repeated_step.h"

namespace graft::tools {
namespace {

struct BenchFlags {
  std::string model = "resnet50", optimizer = "sgd", precision = "fp32";
  DeviceFlags device;
  int64_t batch = 32, image_size = 224, classes = 1000, iterations = 10;
  std::string loader, augment = "light";
  int workers = 0;
  bool cached = false;
  bool train = false, probe = false, json = false, worker = false, profile = false,
       no_graph = false;
  int threads = 0;
};

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// One workload, one step of it at a time.
class Workload {
 public:
  Workload(const BenchFlags& flags, Device device)
      : device_(device),
        batch_(flags.batch),
        train_(flags.train),
        activations_(precision_named(flags.precision)),
        repeats_(!flags.no_graph && !flags.profile) {
    if (!flags.loader.empty()) {
      open_loader(flags);
      return;
    }
    models::Architecture architecture = models::architecture_named(flags.model);
    const ScopedUnsetValues unset;  // they come below
    network_ = models::make_network(architecture);
    models::initialize(*network_, 0);
    models::replace_head(*network_, architecture, flags.classes, 0);
    x_ = Tensor::empty({flags.batch, 3, flags.image_size, flags.image_size},
                       {.format = MemoryFormat::channels_last});
    labels_ = Tensor::empty({flags.batch}, {.dtype = DType::i64});
    CountedRandom random(0, RandomPurpose::synthetic);
    fill_normal(x_, 0, 1, random);
    for (int64_t i = 0; i < flags.batch; ++i)
      labels_.mutable_data<int64_t>()[i] = i % flags.classes;
    network_->to(device_);
    x_ = to_device(x_, device_);
    if (!train_) {
      network_->train(false);
      Calibration ranges;
      if (flags.precision == "int8") {
        RangeObserver observer;
        train::PrefixRunner(*network_, network_->stages().size()).observe(x_, observer);
        ranges = observer.calibration();
      }
      run_.emplace(*network_, network_->stages().size(), activations_, ranges);
      run_->repeat(repeats_);
      return;
    }
    if (flags.probe)
      for (size_t stage = 0; stage + 1 < network_->stages().size(); ++stage)
        network_->freeze_stage(stage);
    network_->train(true);
    first_ = network_->frozen_stages();
    if (first_ > 0) run_.emplace(*network_, first_, activations_).repeat(repeats_);
    GRAFT_CHECK(!flags.cached || first_ > 0, "bench: --cached needs --probe");
    if (flags.cached) features_ = (*run_)(x_);
    std::vector<NamedTensor> trainable;
    for (const NamedTensor& p : network_->parameters())
      if (requires_grad(p.tensor)) trainable.push_back(p);
    optimizer_ = train::make_optimizer(
        std::move(trainable),
        {.name = flags.optimizer, .loss_scale = flags.precision == "fp16" ? 0.0 : 1.0});
    if (!is_cpu(device_) && repeats_) repeated_.emplace(*network_, first_, *optimizer_);
  }

  // Done on return, on a device too.
  void step() {
    start_step();
    if (!is_cpu(device_)) device_backend(device_).wait(device_);
  }
  // Whether steps repeat what the device has recorded.
  bool is_recorded() const {
    return repeated_ ? repeated_->is_recorded() : run_ && run_->is_recorded();
  }
  bool is_to_be_recorded() const {
    return repeats_ && !loader_ && !is_cpu(device_) && !is_recorded();
  }

 private:
  void start_step() {
    if (loader_) return next_batch();
    if (!train_) {
      (*run_)(x_);
      return;
    }
    const train::Batch batch{features_.defined() ? features_.clone()
                             : first_ > 0        ? (*run_)(x_)
                                                 : x_,
                             labels_,
                             {}};
    const train::StepOptions options{.activations = activations_};
    if (repeated_ && repeated_->takes(batch, options))
      (*repeated_)(batch, options, 1e-3);
    else
      train_on(batch);
    optimizer_->settle();
  }
  void train_on(const train::Batch& batch) {
    const Tensor logits = network_->forward_stages(functional::cast(batch.x, activations_), first_,
                                                   network_->stages().size());
    const Tensor loss = functional::cross_entropy(functional::cast(logits, DType::f32),
                                                  to_device(batch.labels, device_));
    optimizer_->backward_and_step(loss, 1e-3);
  }

  // Every epoch reads and decodes all images again.
  void open_loader(const BenchFlags& flags) {
    io::Preprocess preprocess = io::imagenet_preprocess(flags.image_size);
    std::shared_ptr<const io::Dataset> images = io::open_data(flags.loader, {.val_split = 0}).train;
    loader_ = std::make_unique<train::BatchLoader>(
        images, preprocess,
        train::LoaderOptions{.batch = flags.batch,
                             .shuffle = true,
                             .augment = io::augment_named(flags.augment),
                             .workers = flags.workers,
                             .cache_bytes = 0});
    loader_->start(0);
  }
  // Only whole batches count.
  void next_batch() {
    train::Batch batch;
    while (!loader_->next(batch) || batch.labels.size(0) < std::min(batch_, loader_->samples()))
      loader_->start(++epoch_);
  }

  Device device_;
  std::unique_ptr<train::BatchLoader> loader_;
  int64_t epoch_ = 0, batch_;
  Tensor features_;  // of the frozen backbone, when they are computed once
  bool train_;
  DType activations_;
  std::shared_ptr<StagedNetwork> network_;
  Tensor x_, labels_;
  std::optional<train::PrefixRunner> run_;
  std::unique_ptr<train::Optimizer> optimizer_;
  bool repeats_;
  std::optional<train::RepeatedStep> repeated_;
  size_t first_ = 0;
};

std::vector<double> time_steps(Workload& workload, int64_t count) {
  std::vector<double> seconds;
  for (int64_t i = 0; i < count; ++i) {
    const auto start = Clock::now();
    workload.step();
    seconds.push_back(seconds_since(start));
  }
  return seconds;
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

// Where the time of `steps` steps goes: per pass and shape, with GFLOP/s where the kernel is a
// product.
void print_profile(ExecContext& context, Workload& workload, int64_t steps) {
  struct Entry {
    int64_t calls = 0;
    double seconds = 0, multiply_adds = 0;
  };
  std::map<std::string, Entry> entries, passes;
  context.set_kernel_observer([&](const ExecContext::KernelRun& run) {
    for (Entry* e : {&entries[str(run.pass, " ", run.kernel, " ", run.arguments)],
                     &passes[str(run.pass, " ", run.kernel)]}) {
      ++e->calls;
      e->seconds += run.seconds;
      e->multiply_adds += run.multiply_adds;
    }
  });
  const std::vector<double> seconds = time_steps(workload, steps);
  context.set_kernel_observer({});
  const double total = std::accumulate(seconds.begin(), seconds.end(), 0.0),
               each = 1e3 / static_cast<double>(steps);
  double inside = 0;
  for (const auto& [name, e] : passes) inside += e.seconds;
  for (const auto* table : {&entries, &passes}) {
    std::vector<std::pair<std::string, Entry>> rows(table->begin(), table->end());
    std::sort(rows.begin(), rows.end(),
              [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
    result(std::string(table == &entries ? "ms a step, share, calls, GFLOP/s, kernel\n"
                                         : "\nby pass\n"));
    for (const auto& [name, e] : rows)
      result(
          str(fixed(e.seconds * each, 3), "  ", fixed(100 * e.seconds / total, 1), "%  ",
              e.calls / steps, "  ",
              e.multiply_adds > 0 ? fixed(2e-9 * e.multiply_adds / e.seconds, 0) : std::string("-"),
              "  ", name, "\n"));
  }
  result(str("a step ", fixed(total * each, 3), " ms, outside of kernels ",
             fixed((total - inside) * each, 3), " ms\n"));
}

int bench(BenchFlags flags) {
  flags.train = flags.train || flags.probe;
  GRAFT_CHECK(!flags.train || flags.precision != "int8",
              "bench: --precision int8 is for inference; training is in fp32, bf16 or fp16");
  const auto start = Clock::now();
  ExecContext context(flags.threads);
  const ScopedExecContext scope(context);
  const Device device = open_named_device(flags.device, flags.precision,
                                          flags.loader.empty() ? "" : "--loader is the CPU's work");
  Workload workload(flags, device);
  const double first = time_steps(workload, 1)[0];
  workload.step();
  for (int i = 0; i < 3 && workload.is_to_be_recorded(); ++i) workload.step();
  if (flags.worker) return serve(flags, workload, seconds_since(start), first);
  if (flags.profile) {
    print_profile(context, workload, flags.iterations);
    return 0;
  }
  const Allocator& allocator =
      is_cpu(device) ? cpu_allocator() : device_backend(device).allocator(device);
  const int64_t asked_before = allocator.stats().system_calls;
  std::vector<double> seconds = time_steps(workload, flags.iterations);
  const AllocatorStats memory = allocator.stats();
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const nlohmann::ordered_json document = {
      {"model", flags.loader.empty() ? flags.model : "none"},
      {"task", !flags.loader.empty() ? "load " + flags.augment
               : flags.probe         ? "probe"
               : flags.train         ? "train"
                                     : "infer"},
      {"batch", flags.batch},
      {"image_size", flags.image_size},
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
  if (flags.json) {
    result(document);
    return 0;
  }
  result(str(flags.model, " ", document["task"].get<std::string>(), ", batch ", flags.batch, ", ",
             flags.image_size, "x", flags.image_size, ", ",
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
  verb->add_option("--model", f->model, "The network")
      ->check(CLI::IsMember(models::architecture_names()))
      ->type_name("NAME");
  verb->add_option("--batch", f->batch, "Images a step")
      ->check(CLI::Range(1, 65536))
      ->type_name("N");
  verb->add_option("--image-size", f->image_size, "Side of an image")
      ->check(CLI::Range(8, 4096))
      ->type_name("N");
  verb->add_option("--classes", f->classes, "Of the classifier")
      ->check(CLI::Range(1, 1000000))
      ->type_name("N");
  verb->add_option("--iterations", f->iterations,
                   "Steps to time, after two or, on a CUDA device, up to five that are not")
      ->check(CLI::Range(1, 1000000))
      ->type_name("N");
  verb->add_option("--optimizer", f->optimizer, "For --train")
      ->check(CLI::IsMember({"sgd", "adam", "adamw"}))
      ->type_name("NAME");
  verb->add_option("--threads", f->threads, "Compute threads (0: one per core)")
      ->check(CLI::Range(0, 1024))
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
      ->check(CLI::Range(0, 256))
      ->type_name("N");
  verb->add_flag("--no-graph", f->no_graph,
                 "On a CUDA device: every step is queued anew, not repeated from a recording; "
                 "--profile does the same");
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->add_flag("--profile", f->profile, "Where the time goes: a line for each kernel and shape");
  verb->add_flag("--worker", f->worker,
                 "Obey 'run N' and 'quit' on standard input: for interleaved comparisons");
  verb->footer("Example:\n  graft bench --model resnet18 --batch 8 --json");
  verb->callback([&action, f] { action = [f] { return bench(*f); }; });
}

}  // namespace graft::tools
