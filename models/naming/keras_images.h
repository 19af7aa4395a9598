// What a Keras model does to its images before its network: the size it wants, Rescaling and
// Normalization.
#pragma once
#include "graft/models/naming/keras_layers.h"
#include "graft/models/naming/naming.h"

namespace graft::models {

// Reads the outermost model's first layers into preprocess and image_size. Layers that only augment
// are named as left out.
void imply_images(const KerasModel& model, Renamed& renamed);

// A Resizing or CenterCrop of the images, into image_size and its like; whether the layer is one.
bool imply_geometry(const KerasLayer& layer, const std::string& name, Renamed& renamed);
// What those said, in a preprocessing.
void apply_geometry(const Renamed& renamed, io::Preprocess& p);

// Whether the tensor belongs to a Normalization in front of the network.
bool is_normalization(const KerasModel& model, const KerasTensor& tensor);

}  // namespace graft::models
