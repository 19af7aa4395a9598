// SegmentationConfig: an encoder and a decoder as plain data, as they stand in a model's card.
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "graft/models/cifar_resnet.h"
#include "graft/models/feature_network.h"
#include "graft/models/graph/graph_config.h"
#include "graft/models/resnet.h"

namespace graft::models {

// A network whose maps a decoder taps; without a head.
using EncoderArchitecture =
    std::variant<ResNetConfig, CifarResNetConfig, FeatureConfig, GraphConfig>;

struct GRAFT_API SegmentationConfig {
  EncoderArchitecture encoder{};
  std::string decoder = "unet";       // one of decoder_names()
  std::vector<int64_t> widths{};      // of the decoder's layers; decoder.h says which
  int64_t classes = 1;                // maps that the network gives; 1: one logit a pixel
  int64_t height = 224, width = 224;  // of the images that its stages are run on one by one
  // Strides beyond this one become dilation (torchvision's replace_stride_with_dilation); 0: none.
  int64_t output_stride = 0;
};

}  // namespace graft::models
