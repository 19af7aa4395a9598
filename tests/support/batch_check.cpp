#include "graft/tests/support/batch_check.h"

#include <gtest/gtest.h>

#include <cstring>

#include "graft/core/autograd/record.h"
#include "graft/tests/support/network_formula.h"

namespace graft::test {

void expect_images_answered_alone(StagedNetwork& network, int64_t channels, int64_t height,
                                  int64_t width) {
  const NoGradGuard no_grad;
  network.train(false);
  constexpr int64_t kImages = 3;
  const Tensor batch =
      formula_image("beside each other", {kImages, channels, height, width > 0 ? width : height})
          .to(MemoryFormat::channels_last);
  const std::vector<double> together = network.forward(batch).to_doubles();
  const size_t each = together.size() / kImages;
  for (int64_t i = 0; i < kImages; ++i) {
    const std::vector<double> alone = network.forward(batch.narrow_batch(i, 1)).to_doubles();
    ASSERT_EQ(alone.size(), each);
    EXPECT_EQ(std::memcmp(alone.data(), together.data() + static_cast<size_t>(i) * each,
                          each * sizeof(double)),
              0)
        << "image " << i << " is answered otherwise alone than in a batch";
  }
}

}  // namespace graft::test
