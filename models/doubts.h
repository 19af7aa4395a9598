// Doubts: what speaks against a network's tensors being those that were trained together, from the
// tensors alone.
#pragma once
#include <string>
#include <vector>

#include "graft/layers/modules/staged_network.h"

namespace graft::models {

// Behind "batch norm, ReLU, convolution, batch norm" the second norm's running means follow from
// the rest: a channel that the first norm gives mean b and deviation |g| leaves the ReLU with the
// mean of a clipped normal variable, and the convolution is linear. In networks trained as a whole
// the two agree: correlation 0.946 or more over all such pairs of the CIFAR ResNet-20 and -56 and
// of the ImageNet ResNet-50 that graft is tested with. Where a tensor was permuted, transposed,
// swapped or taken from elsewhere the correlation is that of chance.
struct StatisticsCheck {
  int64_t pairs = 0;     // that could be compared
  int64_t agreeing = 0;  // correlation of at least kAgreement
  double lowest =
      1;  // correlation; 0 or less also where the deviations differ by more than a factor of 2
  std::vector<std::string> disagreeing{};  // paths of convolutions, the worst first
  static constexpr double kAgreement = 0.7;
  GRAFT_API std::string to_text()
      const;  // "18 of 18 running means follow from the layers before (lowest correlation 0.97)"
};

// Runs the network in eval on one image of zeros, to see what follows what.
GRAFT_API StatisticsCheck check_statistics(StagedNetwork& network, const Tensor& zeros);

// bad_input naming the tensor for values that no training leaves behind: NaN, negative running
// variances and, unless the tensors are a graph's, which may hold masks, infinities.
GRAFT_API void refuse_impossible_values(const StateDict& tensors, bool may_be_infinite = false);

// Sentences about what can be, but hardly is meant: two layers with the same bits, a layer whose
// numbers are all equal, one with most filters zero, weights far out of scale, batch norms as an
// untrained network has them, statistics that do not follow from the layers before. `neutral`:
// norms known to be neutral. Empty: nothing speaks against the network.
GRAFT_API std::vector<std::string> doubts_of(StagedNetwork& network,
                                             const std::vector<std::string>& neutral,
                                             const StatisticsCheck& statistics);

}  // namespace graft::models
