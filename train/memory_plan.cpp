#include "graft/train/memory_plan.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "graft/core/autograd/grad_meta.h"
#include "graft/io/json.h"

namespace graft::train {
namespace {

// Blocks come in size classes: a block for m images can be up to a sixteenth larger than m times
// one image's share.
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

constexpr int64_t kBeside =
    int64_t{64} << 20;  // still to come beside the allocator: files, threads, a library's heap

int64_t mib(int64_t bytes) { return ceil_div(bytes, int64_t{1} << 20); }

std::string words(const StepPlan& plan, int64_t batch) {
  return str("batch ", batch,
             plan.micro_batch > 0 ? str(" in micro-batches of ", plan.micro_batch) : std::string(),
             plan.recompute ? ", stages computed again in backward" : "");
}

}  // namespace

MemoryPlan plan_within(const RamRequest& request,
                       const std::function<void(int64_t images, const StepPlan& plan)>& run_step,
                       const std::function<void(const std::string&)>& say) {
  const StepBytes step_bytes = [&](int64_t images, const StepPlan& plan) {
    cpu_allocator().release_cached();
    cpu_allocator().reset_peak();
    run_step(images, plan);
    return std::max(cpu_allocator().stats().peak_bytes, request.between_steps) +
           request.beside_step;
  };
  run_step(1 + (request.batch > 1), {});  // whatever is made once: packed weights
  cpu_allocator().release_cached();
  const int64_t beside =
      std::max<int64_t>(resident_bytes() - cpu_allocator().stats().reserved_bytes, 0) + kBeside;
  const MemoryRequest inner{request.ram - beside, request.batch, request.norms_learn,
                            request.bytes_an_image};
  const MemoryPlan plan =
      request.given ? MemoryPlan{*request.given, step_bytes(request.batch, *request.given)}
                    : plan_memory(inner, step_bytes);
  if (plan.peak > inner.allowed)
    fail(ErrorCode::resource, "memory: ", mib(request.ram), " MiB do not suffice; ",
         mib(plan.peak + beside), " MiB would (", words(plan.step, request.batch), ")");
  cpu_allocator().release_cached();
  say(str("memory: peak planned: ", mib(plan.peak + beside), " MiB of the ", mib(request.ram),
          " MiB allowed (", words(plan.step, request.batch), "); ", mib(plan.peak),
          " MiB of it for tensors"));
  return plan;
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

int64_t resident_bytes() {
  int64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<int64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace graft::train
