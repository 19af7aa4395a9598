// --ram: recomputation changes no bit, micro-batches keep the function, plans are found, kept and
// resumed.
#include "graft/train/memory_plan.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/autograd/grad_meta.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/checkpoint.h"
#include "graft/train/features.h"
#include "graft/train/freezing.h"

namespace graft::train {
namespace {

// ---- the step

Batch pattern_batch(int64_t count) {
  BatchLoader loader(std::make_shared<PatternDataset>(count, 3, 10), pattern_preprocess(8),
                     {.batch = count});
  Batch batch;
  loader.start(0);
  EXPECT_TRUE(loader.next(batch));
  return batch;
}

struct Stepped {
  std::unique_ptr<SmallNetwork> network = small_network();
  StepResult result;
};

Stepped step(const Recipe& recipe, const StepPlan& plan, int64_t count = 8) {
  Stepped s;
  apply_freezing(*s.network, recipe);
  s.network->train(true);
  const size_t first = s.network->frozen_stages();
  Batch batch = pattern_batch(count);
  if (first > 0) batch.x = PrefixRunner(*s.network, first)(batch.x);
  s.result = add_gradients(*s.network, first, Classification(3, {0.1}), batch, {plan}, {1, 2, 3});
  s.result.read();
  return s;
}

std::vector<int64_t> answers(const StepResult& result) {
  std::vector<int64_t> all;
  for (const Tensor& outputs : result.outputs)
    for (const int64_t answer : predictions(outputs)) all.push_back(answer);
  return all;
}

void expect_gradients(const Stepped& a, const Stepped& b, double tolerance) {
  const auto pa = a.network->parameters(), pb = b.network->parameters();
  for (size_t i = 0; i < pa.size(); ++i) {
    const Tensor ga = grad_of(pa[i].tensor), gb = grad_of(pb[i].tensor);
    ASSERT_EQ(ga.defined(), gb.defined()) << pa[i].name;
    if (!ga.defined()) continue;
    const auto va = ga.to_doubles(), vb = gb.to_doubles();
    double largest = 0, difference = 0;
    for (size_t k = 0; k < va.size(); ++k) {
      largest = std::max(largest, std::abs(va[k]));
      difference = std::max(difference, std::abs(va[k] - vb[k]));
    }
    EXPECT_LE(difference, tolerance * largest) << pa[i].name;
  }
}

TEST(TrainingStep, RecomputationChangesNoBit) {
  for (const char* freeze : {"none", "stem", "layer1", "stem,layer2", "backbone"})
    for (const char* norm : {"auto", "source"}) {
      Recipe recipe = small_recipe(freeze);
      recipe.batch_norm = norm;
      const Stepped kept = step(recipe, {}), again = step(recipe, {0, true});
      EXPECT_EQ(kept.result.loss, again.result.loss) << freeze << " " << norm;
      EXPECT_EQ(answers(kept.result), answers(again.result));
      expect_gradients(kept, again, 0);
      EXPECT_EQ(bytes_of(*kept.network), bytes_of(*again.network))
          << "running statistics and their counts too";
    }
}

TEST(TrainingStep, MicroBatchesAreTheSameFunctionWhereNormsAreFixed) {
  Recipe recipe = small_recipe();
  recipe.batch_norm = "source";
  for (const int64_t count : {8, 7, 1}) {
    const Stepped whole = step(recipe, {}, count);
    for (const int64_t micro : {1, 2, 3, 5, 8, 100})
      for (const bool recompute : {false, true}) {
        const Stepped parts = step(recipe, {micro, recompute}, count);
        EXPECT_NEAR(whole.result.loss, parts.result.loss, 1e-6);
        EXPECT_EQ(answers(whole.result), answers(parts.result));
        expect_gradients(whole, parts, 1e-5);
      }
  }
}

// ---- choosing

// A made-up network: 100 bytes stay, an image takes 50, or 20 when stages are recomputed; an input
// is 1.
int64_t made_up(int64_t images, const StepPlan& plan) {
  const int64_t micro =
      plan.micro_batch > 0 ? ceil_div(images, ceil_div(images, plan.micro_batch)) : images;
  return 100 + micro * (plan.recompute ? 20 : 50) + (images - micro) * 1;
}

TEST(MemoryPlans, TheFirstThatFits) {
  struct Case {
    int64_t allowed;
    bool norms_learn;
    StepPlan plan;
    bool fits;
  };
  const Case cases[] = {{10000, false, {}, true},         {10000, true, {}, true},
                        {1000, false, {16, false}, true}, {1000, true, {0, true}, true},
                        {600, false, {8, false}, true},   {600, true, {16, true}, true},
                        {182, false, {1, false}, true},   {151, false, {1, true}, true},
                        {211, true, {4, true}, true},     {150, false, {1, true}, false},
                        {180, true, {4, true}, false}};
  for (const Case& c : cases) {
    const MemoryPlan plan = plan_memory({c.allowed, 32, c.norms_learn, 1}, made_up);
    EXPECT_EQ(plan.step, c.plan) << c.allowed << " " << c.norms_learn << ": "
                                 << plan.step.micro_batch << " " << plan.step.recompute;
    EXPECT_EQ(plan.peak <= c.allowed, c.fits) << c.allowed;
  }
  for (const int64_t batch : {1, 2, 3, 5, 33})
    EXPECT_EQ(plan_memory({1 << 20, batch, true, 1}, made_up).step, StepPlan{}) << batch;
}

TEST(MemoryPlans, WhatAStepTakesIsTriedNotOnlyForetold) {
  const auto steeper = [](int64_t images, const StepPlan& plan) {
    return made_up(images, plan) + (images > 4 && plan.micro_batch == 0 ? 5000 : 0);
  };
  EXPECT_EQ(plan_memory({5000, 32, false, 1}, steeper).step, (StepPlan{16, false}));
}

// ---- runs

Outcome within(const Recipe& recipe, int64_t ram, FitOptions options, std::string* said = nullptr) {
  options.ram = ram;
  options.on_note = [&](const std::string& note) {
    if (said && note.starts_with("memory: ")) *said = note;
  };
  return run_small(recipe, options);
}

TEST(Ram, TheAllocatorsPeakKeepsThePromise) {
  for (const char* freeze : {"none", "stem", "backbone"}) {
    Recipe recipe = small_recipe(freeze);
    recipe.batch = 24;
    std::string said;
    const int64_t plenty = int64_t{512} << 20;
    cpu_allocator().release_cached();
    const Outcome outcome = within(recipe, plenty, {}, &said);
    EXPECT_NE(said.find("MiB allowed (batch 24)"), std::string::npos) << said;
    EXPECT_EQ(outcome.result.step, StepPlan{});
    EXPECT_EQ(outcome, run_small(recipe));  // planning leaves no trace in the numbers
    cpu_allocator().reset_peak();
    within(recipe, plenty, {});
    EXPECT_LE(cpu_allocator().stats().peak_bytes, outcome.result.planned_bytes) << freeze;
  }
}

TEST(Ram, TooLittleIsRefusedWithTheSmallestThatWouldDo) {
  for (const char* norm : {"auto", "source"}) {
    Recipe recipe = small_recipe();
    recipe.batch_norm = norm;
    try {
      within(recipe, 1 << 20, {});
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::resource);
      const std::string words = error.what();
      EXPECT_NE(words.find("memory: 1 MiB do not suffice; "), std::string::npos) << words;
      EXPECT_NE(words.find(" would (batch 8"), std::string::npos) << words;
    }
  }
}

// The plan is a function of sizes: threads that compute and memory that others hold are not in it.
TEST(Ram, ThePlanIsTheSameWhateverElseTheProcessHoldsAndHoweverManyThreadsItHas) {
  for (const char* freeze : {"none", "backbone"}) {
    Recipe recipe = small_recipe(freeze);
    recipe.batch = 24;
    std::string first;
    for (const int threads : {1, 2, 5}) {
      ExecContext context(threads);
      const ScopedExecContext scope(context);
      const std::vector<std::byte> heap(static_cast<size_t>(threads) << 20);
      const Tensor ballast = Tensor::zeros({threads, 1 << 20});
      std::string said;
      const Outcome outcome = within(recipe, int64_t{256} << 20, {}, &said);
      if (first.empty()) first = said;
      EXPECT_EQ(said, first) << threads << " threads";
      EXPECT_EQ(outcome.result.step, StepPlan{});
    }
  }
}

// All from sizes: no network, no file.
TEST(Ram, ThePlanIsAFunctionOfSizes) {
  const auto planned = [](int64_t ram, int workers, int64_t decoding, int64_t data) {
    RamRequest request{.ram = ram, .batch = 32, .bytes_an_image = 1, .workers = workers};
    request.decoding = decoding, request.data = data;
    request.kept = request.between = 1000;
    const auto step_bytes = [](int64_t images, const StepPlan& plan) {
      return made_up(images, plan) << 20;
    };
    return plan_within(request, step_bytes, [](const std::string&) {});
  };
  const int64_t mib = 1 << 20, plenty = kProcessBytes + 2000 * mib;
  EXPECT_EQ(planned(plenty, 0, 0, 0).step, StepPlan{});
  EXPECT_EQ(planned(plenty, 0, 0, 0).peak, planned(2 * plenty, 0, 0, 0).peak);
  const int64_t tight = kProcessBytes + 1950 * mib;
  EXPECT_EQ(planned(tight, 0, 0, 0).step, StepPlan{});
  EXPECT_EQ(planned(tight, 0, 500 * mib, 0).step, (StepPlan{16, false})) << "decoders count";
  EXPECT_EQ(planned(tight, 0, 0, 500 * mib).step, (StepPlan{16, false})) << "the data counts";
  EXPECT_EQ(planned(tight, 100, 0, 0).step, (StepPlan{16, false})) << "workers count";
}

TEST(Ram, WhatDecodersMayTakeTogether) {
  EXPECT_EQ(decoding_bytes(1600, 10, 0), 100) << "several small ones side by side";
  EXPECT_EQ(decoding_bytes(1600, 10, 20), 200) << "one on every worker";
  EXPECT_EQ(decoding_bytes(1600, 2, 0), 32) << "at most 16 of the largest";
  EXPECT_EQ(decoding_bytes(1600, 500, 0), 500) << "at least the largest";
}

// Images of nothing whose decoding takes so much.
class Heavy final : public io::Dataset {
 public:
  Heavy(std::string name, std::vector<int64_t> bytes) : name_(std::move(name)), bytes_(bytes) {}
  int64_t size() const override { return std::ssize(bytes_); }
  int64_t label(int64_t) const override { return 0; }
  io::Image image(int64_t) const override { return {}; }
  std::string name(int64_t i) const override { return name_ + std::to_string(i); }
  io::ImageHeader header(int64_t i) const override {
    return {1, 1, 1, bytes_.at(static_cast<size_t>(i))};
  }
  std::string fingerprint() const override { return ""; }

 private:
  std::string name_;
  std::vector<int64_t> bytes_;
};

// The largest of all parts decides, and what decoders get follows from it, not from what is left.
TEST(Ram, DecodersGetWhatTheLargestImageNeeds) {
  const int64_t mib = 1 << 20, ram = kProcessBytes + 200 * mib;
  const Heavy train("train", {mib, 2 * mib, 30 * mib, mib}), test("test", {mib, 40 * mib}),
      none("none", {0});
  DecodePlan plan = plan_decoding(ram, 0, 0, {&train, nullptr, &test});
  EXPECT_EQ(plan.largest, "test1");
  EXPECT_EQ(plan.gate->bytes(), 40 * mib);
  plan = plan_decoding(ram, 0, 3, {&train});
  EXPECT_EQ(plan.largest, "train2");
  EXPECT_EQ(plan.gate->bytes(), 90 * mib) << "one on every worker";
  plan = plan_decoding(ram, 0, 0, {&none, nullptr});
  EXPECT_EQ(plan.gate, nullptr);
  EXPECT_EQ(plan.largest, "");
  try {
    plan_decoding(ram, 170 * mib, 0, {&train, &test});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::resource);
    EXPECT_NE(std::string(error.what()).find("test1: decoding its 1x1 pixels takes 40 MiB"),
              std::string::npos)
        << error.what();
  }
}

// What counting foretells beside what a step with every kernel takes, on this machine.
TEST(Ram, CountedStepsTakeWhatComputedOnesDo) {
  Recipe recipe = small_recipe();
  for (const StepPlan& plan :
       {StepPlan{}, StepPlan{4, false}, StepPlan{0, true}, StepPlan{3, true}}) {
    Stepped s;
    apply_freezing(*s.network, recipe);
    s.network->train(true);
    const Batch batch = pattern_batch(8);
    const auto run = [&] {
      add_gradients(*s.network, 0, Classification(3, {0.1}), batch, {plan}, {1, 2, 3});
      s.network->zero_grad();
    };
    run();
    const int64_t counted = tensor_bytes_of(run, false),
                  before = cpu_allocator().stats().live_bytes;
    cpu_allocator().reset_peak();
    run();
    const int64_t taken = cpu_allocator().stats().peak_bytes - before;
    EXPECT_LE(taken, counted + scratch_bytes(*s.network)) << plan.micro_batch << plan.recompute;
    EXPECT_LE(counted, taken) << "kernels borrow more, never less";
  }
}

TEST(Ram, AResumedRunKeepsItsPlan) {
  Recipe recipe = small_recipe();
  recipe.step = {4, true};  // as if it had been planned
  const TemporaryFolder folder;
  FitOptions options;
  options.folder = folder / "run";
  options.checkpoint_seconds = 0;
  const Outcome undisturbed = run_small(recipe);
  std::atomic<bool> stop{false};
  options.stop = &stop;
  options.on_epoch = [&](const EpochMetrics&) { stop = true; };
  run_small(recipe, options);
  options.stop = nullptr;
  options.resume = true;
  Recipe plain = recipe;
  plain.step = {};
  const Outcome resumed = within(plain, int64_t{512} << 20, options);
  EXPECT_EQ(resumed.result.step, recipe.step);
  EXPECT_EQ(resumed, undisturbed);
}

TEST(MemoryPlan, ARecipeOutOfAFileHasRanges) {
  EXPECT_EQ(step_plan_of("{\"micro_batch\":4,\"recompute\":true}").micro_batch, 4);
  EXPECT_EQ(step_plan_of("no JSON").micro_batch, 0);
  for (const char* recipe :
       {"{\"micro_batch\":-1}", "{\"micro_batch\":65537}", "{\"micro_batch\":1e30}",
        "{\"micro_batch\":\"x\"}", "{\"micro_batch\":null}", "{\"recompute\":7}"})
    EXPECT_THROW(step_plan_of(recipe), Error) << recipe;
}

}  // namespace
}  // namespace graft::train
