// Segmentation: any network with maps to tap, with a decoder in place of its end.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graft/models/model_file.h"

namespace graft::models {

struct SegmentationHead {
  std::string decoder = "unet";  // one of decoder_names(), or fcos, which finds objects
  int64_t classes = 1;           // maps that the decoder gives
  int64_t height = 0,
          width = 0;          // of the images that it is trained on; 0: the card's preprocessing
  std::vector<float> bias{};  // of the maps; empty: zeros
  uint64_t seed = 0;
  // Strides of the encoder beyond this one become dilation; 0: the decoder's own choice (8 for
  // deeplabv3, none for the others).
  int64_t output_stride = 0;
};

// Of those that give one map a class at the image's size: unet, fpn, deeplabv3, fcn.
GRAFT_API std::vector<std::string> decoder_names();

// The model with a decoder in place of its end, in eval mode; convolutions have Kaiming's start
// from the seed. A model that has this decoder keeps it but for its last convolution. What the end
// said (labels, task, 8-bit ranges) is gone from the card. bad_input naming the network when it has
// no maps to tap.
GRAFT_API void give_segmentation_head(Model& model, const SegmentationHead& head);
// The encoder alone, pooled, without a head; other models stay as they are.
GRAFT_API void remove_segmentation_head(Model& model);

}  // namespace graft::models
