// BatchLoader: the order is a function of (seed, epoch); threads and workers change nothing; broken
// images surface.
#include "graft/train/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>

#include "graft/core/runtime/exec_context.h"
#include "graft/core/runtime/start_thread.h"
#include "graft/tests/support/scarce_threads.h"
#include "graft/tests/train/pattern_dataset.h"

namespace graft::train {
namespace {

constexpr int64_t kSide = 6;

std::vector<Batch> epoch_of(const LoaderOptions& options, int64_t epoch, int64_t size = 23) {
  BatchLoader loader(std::make_shared<PatternDataset>(size, 3, kSide + 1),
                     pattern_preprocess(kSide), options);
  std::vector<Batch> batches;
  loader.start(epoch);
  for (Batch batch; loader.next(batch);) batches.push_back(batch);
  EXPECT_EQ(std::ssize(batches), loader.batches());
  return batches;
}

std::vector<int64_t> order_of(const std::vector<Batch>& batches) {
  std::vector<int64_t> order;
  for (const Batch& batch : batches)
    order.insert(order.end(), batch.samples.begin(), batch.samples.end());
  return order;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.format() == b.format() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

bool same(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Batch& x, const Batch& y) {
    return x.samples == y.samples && same_bits(x.x, y.x) &&
           same_bits(x.targets.one(), y.targets.one());
  });
}

TEST(Loader, BatchesHoldWhatTheDataSetHas) {
  const auto batches = epoch_of({.batch = 4}, 0);
  ASSERT_EQ(batches.size(), 6u);
  const PatternDataset dataset(23, 3, kSide + 1);
  const io::Preprocess preprocess = pattern_preprocess(kSide);
  int64_t sample = 0;
  for (const Batch& batch : batches) {
    const int64_t count = std::ssize(batch.samples);
    ASSERT_EQ(batch.x.shape(), Shape({count, 3, kSide, kSide}));
    EXPECT_EQ(batch.x.format(), MemoryFormat::channels_last);
    const Tensor planes = batch.x.to(MemoryFormat::contiguous);
    for (int64_t i = 0; i < count; ++i, ++sample) {
      EXPECT_EQ(batch.samples[static_cast<size_t>(i)], sample);
      EXPECT_EQ(batch.targets.one().data<int64_t>()[i], sample % 3);
      const Tensor expected = preprocess.apply(dataset.image(sample));
      EXPECT_EQ(std::memcmp(planes.data<float>() + i * expected.numel(), expected.raw(),
                            static_cast<size_t>(expected.bytes())),
                0);
    }
  }
  EXPECT_EQ(sample, 23);
}

TEST(Loader, SidesThatDiffer) {
  const auto dataset = std::make_shared<PatternDataset>(5, 3, kSide + 1);
  io::Preprocess preprocess = pattern_preprocess(kSide);
  preprocess.set_size(kSide, 2 * kSide);
  for (const int64_t cache_bytes : {int64_t{0}, int64_t{1} << 20}) {
    BatchLoader loader(dataset, preprocess, {.batch = 5, .cache_bytes = cache_bytes});
    for (int64_t epoch = 0; epoch < 2; ++epoch) {
      loader.start(epoch);
      Batch batch;
      ASSERT_TRUE(loader.next(batch));
      ASSERT_EQ(batch.x.shape(), Shape({5, 3, kSide, 2 * kSide}));
      EXPECT_EQ(batch.x.narrow_batch(4, 1).to(MemoryFormat::contiguous).to_doubles(),
                preprocess.apply(dataset->image(4)).to_doubles());
    }
  }
}

TEST(Loader, EverySampleOnceInAnOrderOfSeedAndEpoch) {
  const LoaderOptions options{.batch = 5, .shuffle = true, .seed = 7};
  std::set<std::vector<int64_t>> orders;
  for (uint64_t seed = 0; seed < 3; ++seed)
    for (int64_t epoch = 0; epoch < 4; ++epoch) {
      LoaderOptions other = options;
      other.seed = seed;
      auto order = order_of(epoch_of(other, epoch));
      EXPECT_EQ(order, order_of(epoch_of(other, epoch)));
      EXPECT_TRUE(orders.insert(order).second) << seed << " " << epoch;
      std::sort(order.begin(), order.end());
      for (int64_t i = 0; i < 23; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
    }
  std::vector<int64_t> plain(23);
  std::iota(plain.begin(), plain.end(), int64_t{0});
  EXPECT_EQ(order_of(epoch_of({.batch = 5}, 3)), plain);
}

TEST(Loader, ALaterEpochNeedsNoEarlierOne) {
  BatchLoader loader(
      std::make_shared<PatternDataset>(23, 3, kSide), pattern_preprocess(kSide),
      {.batch = 5, .shuffle = true, .augment = io::augment_named("strong"), .workers = 2});
  std::vector<Batch> second;
  Batch batch;
  loader.start(0);
  EXPECT_TRUE(loader.next(batch));  // left in the middle
  loader.start(1);
  while (loader.next(batch)) second.push_back(batch);
  BatchLoader fresh(std::make_shared<PatternDataset>(23, 3, kSide), pattern_preprocess(kSide),
                    {.batch = 5, .shuffle = true, .augment = io::augment_named("strong")});
  std::vector<Batch> alone;
  fresh.start(1);
  while (fresh.next(batch)) alone.push_back(batch);
  EXPECT_TRUE(same(second, alone));
  EXPECT_FALSE(loader.next(batch));
}

TEST(Loader, WorkersAndThreadsChangeNoBit) {
  for (const char* augment : {"none", "light", "strong", "trivial", "rand"}) {
    LoaderOptions options{
        .batch = 4, .shuffle = true, .seed = 3, .augment = io::augment_named(augment)};
    if (std::string(augment) == "rand") options.augment.erase = 0.5;
    const auto expected = epoch_of(options, 2);
    for (const int threads : {1, 2, 4}) {
      ExecContext context(threads);
      const ScopedExecContext scope(context);
      for (const int workers : {0, 1, 2, 4}) {
        options.workers = workers;
        EXPECT_TRUE(same(epoch_of(options, 2), expected))
            << augment << " " << threads << " " << workers;
      }
    }
  }
}

TEST(Loader, KeptImagesAreTheSameAgain) {
  const LoaderOptions keeps{.batch = 4, .shuffle = true},
      keeps_none{.batch = 4, .shuffle = true, .cache_bytes = 0};
  const auto dataset = std::make_shared<PatternDataset>(23, 3, kSide + 1);
  BatchLoader a(dataset, pattern_preprocess(kSide), keeps),
      b(dataset, pattern_preprocess(kSide), keeps_none);
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    a.start(epoch);
    b.start(epoch);
    for (Batch x, y; a.next(x);) {
      ASSERT_TRUE(b.next(y));
      EXPECT_TRUE(same({x}, {y}));
    }
  }
}

TEST(Loader, ALastBatchOfOneIsLeftOutWhereBatchNormTrains) {
  EXPECT_EQ(epoch_of({.batch = 11, .drop_single = true}, 0, 23).size(), 2u);  // 11 + 11 + 1
  EXPECT_EQ(epoch_of({.batch = 11}, 0, 23).size(), 3u);
  EXPECT_EQ(epoch_of({.batch = 7, .drop_single = true}, 0, 23).size(), 4u);  // 7 + 7 + 7 + 2
  EXPECT_EQ(epoch_of({.batch = 23, .drop_single = true}, 0, 23).size(), 1u);
  EXPECT_EQ(epoch_of({.batch = 8, .drop_single = true}, 0, 1).size(), 0u);
  EXPECT_EQ(epoch_of({.batch = 1}, 0, 3).size(), 3u);
  EXPECT_EQ(epoch_of({.batch = 1, .drop_single = true}, 0, 3).size(),
            3u);  // asked for, not left over
}

TEST(Loader, ABrokenImageIsTheErrorOfItsBatch) {
  for (const int workers : {0, 1, 2, 4}) {
    auto dataset = std::make_shared<PatternDataset>(23, 3, kSide);
    dataset->broken = 10;
    BatchLoader loader(dataset, pattern_preprocess(kSide), {.batch = 4, .workers = workers});
    loader.start(0);
    Batch batch;
    EXPECT_TRUE(loader.next(batch));
    EXPECT_TRUE(loader.next(batch));
    for (int again = 0; again < 2; ++again) {
      try {
        loader.next(batch);
        ADD_FAILURE() << workers;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::bad_input);
        EXPECT_STREQ(error.what(), "pattern[10]: broken JPEG: for a test") << workers;
      }
    }
    loader.start(1);  // and it can start again
    EXPECT_TRUE(loader.next(batch));
  }
}

TEST(Loader, ImpossibleOptionsAreErrors) {
  const auto make = [](std::shared_ptr<const io::Dataset> dataset, LoaderOptions options) {
    BatchLoader loader(std::move(dataset), pattern_preprocess(kSide), options);
  };
  const auto dataset = std::make_shared<PatternDataset>(3, 3, kSide);
  EXPECT_THROW(make(nullptr, {}), Error);
  EXPECT_THROW(make(std::make_shared<PatternDataset>(0, 3, kSide), {}), Error);
  EXPECT_THROW(make(dataset, {.batch = 0}), Error);
  EXPECT_THROW(make(dataset, {.workers = -1}), Error);
  EXPECT_THROW(make(dataset, {.workers = 100000}), Error);
}

// Workers that cannot be started are done without, to the same batches.
TEST(Loader, GoesOnWithTheWorkersThatCouldBeStarted) {
  if (sanitized()) GTEST_SKIP() << "sanitizers need the address space";
  const auto expected = epoch_of({.batch = 4, .shuffle = true}, 1);
  EXPECT_TRUE(true_with_scarce_threads([&] {
    int told = 0;
    set_thread_shortage_listener([&](const char* kind, int, int) { told += kind[0] == 'l'; });
    return same(epoch_of({.batch = 4, .shuffle = true, .workers = 200}, 1), expected) && told == 1;
  }));
}

}  // namespace
}  // namespace graft::train
