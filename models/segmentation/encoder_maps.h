// The maps of an encoder that a decoder may tap, found from the shapes of its values.
#pragma once
#include <string>
#include <vector>

#include "graft/layers/modules/staged_network.h"

namespace graft::models {

struct EncoderMap {
  size_t stage = 0;       // that computes it
  size_t value = 0;       // which of the stage's values (StagedNetwork::stage_values)
  bool is_result = true;  // the stage's last value
  int64_t stride = 1;     // of the image's side by the map's
  int64_t channels = 0;
};

struct EncoderMaps {
  std::vector<EncoderMap> taps{};     // at strides 2 to 32, rising: of each stride the last value
  std::vector<EncoderMap> results{};  // of each stage, as long as they are maps at whole strides
  std::string end{};  // what the first stage that gives no such map gives; "": all of them do

  int64_t stride() const { return taps.empty() ? 1 : taps.back().stride; }  // of the last tap
};

// Runs the encoder, in eval mode, on an image of zeros of a few pixels (of networks that do not
// look at values: only its shapes).
GRAFT_API EncoderMaps maps_of(StagedNetwork& encoder, int64_t in_channels);

// Convolutions that stride beyond `output_stride` stride no longer, and those behind them are
// dilated instead: at every place that the network had, it computes what it did, but for means over
// the whole map (torchvision's replace_stride_with_dilation). Pools and shortcuts that stride by
// themselves cannot; maps_of() shows whether all was done.
GRAFT_API void dilate_strides(StagedNetwork& encoder, const EncoderMaps& maps,
                              int64_t output_stride);

}  // namespace graft::models
