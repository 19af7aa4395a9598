#include "graft/models/tensorflow/take_graph.h"

#include <set>

namespace graft::models::tensorflow {

io::onnx::Model take_graph(Translation& translation, const std::vector<Value>& inputs,
                           const std::vector<io::onnx::ElementType>& types,
                           const std::vector<Item>& outputs,
                           const std::vector<std::string>& names) {
  Writer& writer = translation.writer;
  GRAFT_CHECK(!outputs.empty(), "the model has no outputs");
  std::set<std::string> seen;
  for (const Value& input : inputs) seen.insert(input.name);
  std::vector<Value> values;
  for (size_t i = 0; i < outputs.size(); ++i) {
    GRAFT_CHECK(outputs[i].is_computed() && outputs[i].block.empty(), "its output '", names[i],
                "' is not computed from the image");
    writer.begin(names[i]);
    Value value = outputs[i].value;
    value = value.rank() == 4 ? writer.channels_first(value) : writer.in_order(value);
    if (!seen.insert(value.name).second) {
      value.name = writer.node("Identity", {value.name});
      seen.insert(value.name);
    }
    for (int64_t& extent : value.dims) extent = is_of_batch(extent) ? -1 : extent;
    values.push_back(std::move(value));
  }
  GRAFT_CHECK(writer.has_nodes(), "the model has no operators that compute anything");
  if (translation.filled_norms > 0)
    translation.notes.push_back(
        str(translation.filled_norms, translation.filled_norms == 1 ? " norm has" : " norms have",
            " no scale or no shift of their own: graft's have, at 1 and 0, and train them"));
  io::onnx::Model model = writer.take(inputs, types, values);
  model.graph.name = "tensorflow";
  model.producer_name = "tensorflow";
  return model;
}

}  // namespace graft::models::tensorflow
