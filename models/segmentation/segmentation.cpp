#include "graft/models/segmentation/segmentation.h"

#include "graft/core/base/error.h"

namespace graft::models {

std::vector<std::string> decoder_names() { return {"unet", "fpn", "deeplabv3", "fcn"}; }

void give_segmentation_head(Model&, const SegmentationHead& head) {
  bad_input("decoder: '", head.decoder, "' is not built into this graft");
}

void remove_segmentation_head(Model&) {}

}  // namespace graft::models
