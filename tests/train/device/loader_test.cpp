// Batches that a loader makes on a device: 8-bit pixels go up, mirroring and normalising are the
// device's.
#include "graft/train/loader.h"

#include <gtest/gtest.h>

#include "graft/core/tensor/device_backend.h"
#include "graft/tests/kernels/cuda/device_check.h"
#include "graft/tests/train/pattern_dataset.h"

namespace graft::train {
namespace {

using test::kCuda;

std::vector<Batch> epochs(Device device, const LoaderOptions& given,
                          const io::Preprocess& preprocess) {
  LoaderOptions options = given;
  options.device = device;
  BatchLoader loader(std::make_shared<PatternDataset>(11, 3, 12, 4), preprocess, options);
  std::vector<Batch> all;
  for (const int64_t epoch : {0, 1, 2}) {
    loader.start(epoch);
    for (Batch batch; loader.next(batch);) all.push_back(batch);
  }
  return all;
}

// Augmented and not, from kept pixels and decoded anew, with workers and without, one channel and
// three.
TEST(DeviceLoader, GivesTheCpusBatches) {
  for (const char* augment : {"none", "light", "strong"})
    for (const int workers : {0, 2})
      for (const int64_t views : {0, 2})
        for (const int64_t channels : {1, 3}) {
          io::Preprocess preprocess = pattern_preprocess(8);
          preprocess.channels = channels;
          preprocess.bgr = workers == 2;
          if (channels == 1) preprocess.mean = {0.4}, preprocess.deviation = {0.3};
          const LoaderOptions options{.batch = 4,
                                      .shuffle = true,
                                      .seed = 5,
                                      .augment = io::augment_named(augment),
                                      .views = views,
                                      .workers = workers,
                                      .cache_bytes = views == 0 ? 1 << 20 : 0};
          const std::vector<Batch> host = epochs({}, options, preprocess);
          const test::TestDevice opened;
          const std::vector<Batch> there = epochs(kCuda, options, preprocess);
          ASSERT_EQ(there.size(), host.size());
          for (size_t i = 0; i < host.size(); ++i) {
            EXPECT_EQ(there[i].x.device(), kCuda);
            EXPECT_EQ(there[i].x.options().format, MemoryFormat::channels_last);
            EXPECT_TRUE(is_cpu(there[i].targets.one().device()));
            EXPECT_EQ(there[i].samples, host[i].samples);
            EXPECT_EQ(there[i].targets.one().to_doubles(), host[i].targets.one().to_doubles());
            EXPECT_LE(test::relative_error(there[i].x.to_doubles(), host[i].x.to_doubles()), 1e-6)
                << augment << ", batch " << i;
          }
        }
}

}  // namespace
}  // namespace graft::train
