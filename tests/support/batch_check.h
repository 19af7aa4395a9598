// What every import must keep: an image's answer does not depend on the images beside it.
#pragma once
#include "graft/layers/modules/staged_network.h"

namespace graft::test {

// Three images of channels x height x width together and each alone, outside of training: the same
// bits.
void expect_images_answered_alone(StagedNetwork& network, int64_t channels, int64_t height,
                                  int64_t width = 0);  // 0: as the height

}  // namespace graft::test
