// A Keras file's tensors by layer, whichever of Keras' layouts the file has: HDF5 of Keras 1 and 2
// (layer/layer/kernel:0), Keras 3's numbered variables (layers/conv2d_1/vars/0), or plain names in
// another format (conv1_conv/kernel).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "graft/io/weights/weights.h"

namespace graft::models {

struct KerasTensor {
  std::string file_name{};  // as in the file
  std::string prefix{};     // of models within models: "resnet50/"; "" outside
  std::string layer{};      // "conv1_conv"
  std::string part{};       // kernel bias gamma beta moving_mean moving_variance
  Tensor tensor{};          // Keras' layout
};

// What the model's configuration says of a layer that matters to its numbers.
struct KerasLayer {
  std::string kind{};  // "Conv2D", "BatchNormalization" ...
  double epsilon = 0;
  bool has_epsilon = false, center = true, scale = true;
  std::vector<int64_t> strides{},
      padding{};               // padding: [top, bottom, left, right] of a ZeroPadding2D
  std::string padding_word{};  // "same", "valid"
  std::string activation{};
  std::vector<int64_t> input_shape{};  // [H,W,C] of an InputLayer, or of a first layer; -1: open
  std::vector<double> factor{}, offset{};  // of a Rescaling
  std::vector<double> mean{}, variance{};  // of a Normalization that was given them
  int64_t height = 0, width = 0;           // of a Resizing or CenterCrop
  bool crop_to_aspect_ratio = false, pad_to_aspect_ratio = false;
  std::string interpolation{};
};

struct KerasModel {
  std::vector<KerasTensor> tensors{};
  std::map<std::string, KerasLayer> layers{};  // by name; empty when the file has no configuration
  std::vector<std::string> order{};            // the outermost model's layers, models within it too
  std::vector<std::string> ignored{};          // optimizer state, seeds

  bool has_layer(const std::string& name) const;  // with tensors
};

// "DepthwiseConv2D" -> "depthwise_conv2d", as Keras 3 stores variables by their layer's class.
std::string snake_case(const std::string& name);

// bad_input for a Keras file whose variables cannot be named.
KerasModel keras_model(const io::WeightFile& file);

}  // namespace graft::models
