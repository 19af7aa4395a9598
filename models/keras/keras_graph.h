// A Keras model of any shape as a graph in ONNX's terms: from its configuration, which is data, and
// its variables.
#pragma once
#include <string>
#include <vector>

#include "graft/io/onnx/model.h"
#include "graft/io/weights/weights.h"
#include "graft/models/keras/description.h"
#include "graft/models/keras/layers.h"

namespace graft::models::keras {

struct KerasGraph {
  io::onnx::Model model{};  // images [N,C,H,W]; outputs are named by their layers
  Description description{};
  Findings findings{};
  std::vector<std::string> unused{}, beside{};  // tensors of the file that no layer took
};

// Whether the file says how its layers are connected.
bool has_description(const io::WeightFile& file);

// bad_input in one sentence, with all names, for layers that graft does not know (Lambda and custom
// ones run Python), and for what does not fit.
KerasGraph read_keras_graph(const io::WeightFile& file);
// The same of a configuration, with variables from elsewhere.
KerasGraph write_graph(const Description& description, Variables& variables);

}  // namespace graft::models::keras
