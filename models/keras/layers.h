// The layers of Keras that graft knows: one table per family maps a layer's class to a function
// that writes its nodes.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "graft/models/keras/description.h"
#include "graft/models/keras/variables.h"
#include "graft/models/keras/writer.h"
#include "graft/models/naming/naming.h"

namespace graft::models::keras {

// What the layers of a model say beside their nodes.
struct Findings {
  Renamed images{};                         // geometry and notes of Resizing and CenterCrop
  std::vector<std::string> image_steps{};   // "Resizing 'resize'"
  std::vector<std::string> augmenting{};    // layers that vary images
  std::vector<std::string> noise{};         // layers that act in training only and are left out
  std::vector<std::string> whole_maps{};    // SpatialDropout
  std::vector<std::string> filled_norms{};  // norms without a scale or a shift of their own
  std::vector<std::string> notes{};
};

struct LayerCall {
  const Layer& layer;
  const LayerPath& path;
  const std::vector<Value>& inputs;
  Writer& writer;
  Variables& variables;
  Findings& findings;
  int generation;        // Keras 2 or 3
  const Call* call;      // null within a Sequential
  int64_t variable = 0;  // the next one's number

  const LayerSettings& settings() const { return layer.settings; }
  const Value& in(size_t input = 0) const { return inputs.at(input); }
  std::string title() const;  // "Conv2D 'conv1'"
  // The layer's next variable, as Keras stores it.
  Tensor take(const std::vector<std::string>& parts, const std::vector<int64_t>& extents);
  // The name of a trained tensor of the graph, "conv1/kernel".
  std::string trained(const std::string& part, const Tensor& tensor);
  Value with_name(Value value, std::string name) const;  // the same shape in another value
};

struct LayerKind {
  const char* name;
  Value (*run)(LayerCall& call);
};
using LayerTable = std::span<const LayerKind>;

LayerTable convolution_layers();
LayerTable pooling_layers();
LayerTable normalization_layers();
LayerTable activation_layers();
LayerTable merging_layers();
LayerTable shape_layers();
LayerTable image_layers();
LayerTable operation_layers();  // keras.ops and TensorFlow's operators between layers

// Null when graft does not know it.
const LayerKind* find_layer(const Layer& layer);

// The activation that a layer's configuration names under `key`, behind a value.
Value activated(LayerCall& call, Value value, const char* key = "activation");
// One of Keras' activation functions; `settings`: its own, where it was written as an object.
Value apply_activation(LayerCall& call, Value value, const std::string& function,
                       const LayerSettings& settings);

// A value as images of `axes` spatial axes for ONNX's operators: [N,C,...].
struct Maps {
  Value value{};
  bool last = true;  // Keras counts the channels last
  int64_t channels = -1;
  std::vector<int64_t> extents{};
};
Maps maps_of(LayerCall& call, size_t axes);
Value value_of(const Maps& maps, std::string name, int64_t channels,
               const std::vector<int64_t>& extents);

// The extent behind a window, as Keras pads; -1 stays open.
int64_t windowed(int64_t extent, int64_t kernel, int64_t stride, int64_t dilation, bool same);

}  // namespace graft::models::keras
