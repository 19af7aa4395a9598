// torchvision's state dicts of segmentation networks: backbone, classifier, aux_classifier.
#pragma once
#include <string>

#include "graft/models/source_network.h"

namespace graft::models {

// Where the source, a ResNet under "<root>backbone.", has torchvision's DeepLabV3 or FCN head
// beside it, "<root>classifier.", it becomes that segmentation network. The auxiliary head is left
// out and named. Other sources stay as they are.
void take_torchvision_decoder(const StateDict& tensors, const std::string& prefix,
                              SourceNetwork& source);

}  // namespace graft::models
