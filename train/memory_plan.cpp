#include "graft/train/memory_plan.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "graft/core/autograd/grad_meta.h"
#include "graft/core/base/checked_math.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/allocator.h"
#include "graft/io/datasets/dataset.h"
#include "graft/io/json.h"
#include "graft/layers/modules/batch_norm2d.h"

namespace graft::train {
namespace {

// Blocks come in graded sizes and pieces: a block for m images can be up to a sixteenth larger than
// m times one image's share.
constexpr double kRounding = 1.07;

std::vector<StepPlan> candidates(const MemoryRequest& request) {
  const int64_t least = std::min<int64_t>(request.batch, request.norms_learn ? 4 : 1);
  std::vector<StepPlan> plans{{0, false}};
  if (request.norms_learn) plans.push_back({0, true});
  for (int64_t micro = ceil_div(request.batch, 2); micro >= least && micro < request.batch;
       micro = micro == 1 ? 0 : ceil_div(micro, 2))
    plans.push_back({micro, request.norms_learn});
  if (request.norms_learn && plans.back().micro_batch != least && least < request.batch)
    plans.push_back({least, true});
  if (!request.norms_learn) plans.push_back({request.batch > 1 ? 1 : 0, true});
  return plans;
}

// Foretells a step's bytes from two small steps, of each kind once.
class Foretelling {
 public:
  Foretelling(const MemoryRequest& request, const StepBytes& step_bytes)
      : request_(request), step_bytes_(step_bytes) {}

  int64_t operator()(const StepPlan& plan) {
    const int64_t few = std::min<int64_t>(request_.batch, 2),
                  some = std::min<int64_t>(request_.batch, 4);
    Line& line = lines_[plan.recompute];
    if (line.few == 0) {
      line.few = step_bytes_(few, {0, plan.recompute});
      line.an_image =
          some > few ? std::max<int64_t>(
                           (step_bytes_(some, {0, plan.recompute}) - line.few) / (some - few), 0)
                     : line.few / few;
    }
    const int64_t micro = plan.micro_batch > 0 ? plan.micro_batch : request_.batch;
    return line.few +
           static_cast<int64_t>(kRounding * static_cast<double>((micro - few) * line.an_image)) +
           (request_.batch - micro) * request_.bytes_an_image;
  }

 private:
  struct Line {
    int64_t few = 0, an_image = 0;
  };
  const MemoryRequest& request_;
  const StepBytes& step_bytes_;
  std::map<bool, Line> lines_;  // by recomputation
};

}  // namespace

MemoryPlan plan_memory(const MemoryRequest& request, const StepBytes& step_bytes) {
  Foretelling foretold(request, step_bytes);
  MemoryPlan least{{}, 0};
  for (const StepPlan& plan : candidates(request)) {
    int64_t bytes = foretold(plan);
    if (bytes <= request.allowed) {
      bytes = step_bytes(request.batch, plan);  // the truth
      if (bytes <= request.allowed) return {plan, bytes};
    }
    if (least.peak == 0 || bytes < least.peak) least = {plan, bytes};
  }
  return least;
}

namespace {

constexpr int64_t kWorkerBytes = int64_t{1} << 20;  // a thread's stack, an image being resized
constexpr int64_t kSideBySide = 16;

int64_t mib(int64_t bytes) { return ceil_div(bytes, int64_t{1} << 20); }

std::string words(const StepPlan& plan, int64_t batch) {
  return str("batch ", batch,
             plan.micro_batch > 0 ? str(" in micro-batches of ", plan.micro_batch) : std::string(),
             plan.recompute ? ", stages computed again in backward" : "");
}

int64_t counted(const std::function<void()>& work, ExecContext::Computing computing) {
  ExecContext context(1, InstructionSet::portable);
  context.set_computing(computing);
  const ScopedExecContext scope(context);
  const int64_t before = cpu_allocator().stats().live_bytes;
  cpu_allocator().reset_peak();
  work();
  return cpu_allocator().stats().peak_bytes - before;
}

}  // namespace

int64_t tensor_bytes_of(const std::function<void()>& work, bool looks_at_values) {
  using Computing = ExecContext::Computing;
  if (!looks_at_values) return counted(work, Computing::nothing);
  try {
    return counted(work, Computing::numbers);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::resource) throw;
    return counted(work, Computing::all);
  }
}

int64_t decoding_bytes_at_most(int64_t ram, int64_t held) {
  return std::max(ram - kProcessBytes - held, int64_t{16} << 20);
}

int64_t decoding_bytes(int64_t ram, int64_t largest_decode, int workers) {
  return std::max(checked_mul(largest_decode, std::max(workers, 1)),
                  std::min(checked_mul(largest_decode, kSideBySide), ram / 16));
}

DecodePlan plan_decoding(int64_t ram, int64_t held, int workers,
                         std::initializer_list<const io::Dataset*> parts) {
  const io::Dataset* of = nullptr;
  io::LargestDecode largest;
  for (const io::Dataset* part : parts) {
    if (!part) continue;
    const io::LargestDecode found = io::largest_decode(*part);
    if (found.bytes > largest.bytes) largest = found, of = part;
  }
  if (!of) return {};
  io::DecodeGate all(decoding_bytes_at_most(ram, held));
  const io::ScopedDecode fits(&all, *of, largest.sample);
  return {std::make_shared<io::DecodeGate>(decoding_bytes(ram, largest.bytes, workers)),
          of->name(largest.sample)};
}

MemoryPlan plan_within(const RamRequest& request, const StepBytes& step_bytes,
                       const std::function<void(const std::string&)>& say) {
  const int64_t prepared = (2 * request.workers + (request.workers > 0 ? 3 : 1)) * request.batch *
                           request.bytes_an_image;
  const StepBytes tensors = [&](int64_t images, const StepPlan& plan) {
    const int64_t step =
        static_cast<int64_t>(kRounding * static_cast<double>(step_bytes(images, plan)));
    return request.kept + std::max(step + request.scratch + prepared, request.between);
  };
  const int64_t beside =
      kProcessBytes + request.workers * kWorkerBytes + request.data + request.decoding;
  const MemoryRequest inner{request.ram - beside, request.batch, request.norms_learn,
                            request.bytes_an_image};
  const MemoryPlan plan = request.given
                              ? MemoryPlan{*request.given, tensors(request.batch, *request.given)}
                              : plan_memory(inner, tensors);
  const std::string decoding =
      mib(request.decoding) <= 1
          ? std::string()
          : str(", ", mib(request.decoding), " MiB of it for decoding images, the largest ",
                request.decoded);
  if (plan.peak > inner.allowed)
    fail(ErrorCode::resource, "memory: ", mib(request.ram), " MiB do not suffice; ",
         mib(plan.peak + beside), " MiB would (", words(plan.step, request.batch), ")", decoding);
  say(str("memory: peak planned: ", mib(plan.peak + beside), " MiB of the ", mib(request.ram),
          " MiB allowed (", words(plan.step, request.batch), "); ", mib(plan.peak),
          " MiB of it for tensors", decoding));
  return plan;
}

namespace {

constexpr int64_t kTableBytes = int64_t{4} << 20;  // rows of pointers, sums, a block a thread

// A convolution's weight, folded and packed; a 3x3 filter may be kept as 6x6 numbers (Winograd's
// F(4x4, 3x3)).
int64_t packed_weight_bytes(const Tensor& weight) {
  if (weight.rank() < 4) return weight.bytes();
  const bool three = weight.rank() == 4 && weight.size(2) == 3 && weight.size(3) == 3;
  return (three && weight.size(1) > 1 ? 5 : 2) * weight.bytes();
}

}  // namespace

int64_t packed_bytes(StagedNetwork& network, size_t frozen_stages) {
  int64_t bytes = 0;
  for (size_t stage = 0; stage < frozen_stages; ++stage)
    for (Module* module : network.stage_modules(stage))
      for (const NamedTensor& p : module->parameters()) bytes += packed_weight_bytes(p.tensor);
  return bytes;
}

int64_t scratch_bytes(StagedNetwork& network) {
  int64_t largest = 0;
  for (const NamedTensor& p : network.parameters())
    largest = std::max(largest, packed_weight_bytes(p.tensor));
  return largest + kTableBytes;
}

bool norms_learn(StagedNetwork& network) {
  bool any = false;
  network.for_each_module([&](const std::string&, Module& module) {
    const auto* norm = dynamic_cast<BatchNorm2d*>(&module);
    any = any || (norm && !norm->frozen() && requires_grad(norm->weight()));
  });
  return any;
}

StepPlan step_plan_of(const std::string& recipe_json) {
  io::check_json(recipe_json, "the recipe");
  const auto j = nlohmann::json::parse(recipe_json, nullptr, false);
  if (!j.is_object()) return {};
  const auto images = j.find("micro_batch"), recompute = j.find("recompute");
  StepPlan step;
  if (images != j.end()) step.micro_batch = io::json_integer(j, "micro_batch", "the recipe");
  GRAFT_CHECK(step.micro_batch >= 0 && step.micro_batch <= 65536, "the recipe: micro-batches of ",
              step.micro_batch, " images");
  if (recompute != j.end()) {
    GRAFT_CHECK(recompute->is_boolean(), "the recipe: 'recompute' is neither true nor false");
    step.recompute = recompute->get<bool>();
  }
  return step;
}

}  // namespace graft::train
