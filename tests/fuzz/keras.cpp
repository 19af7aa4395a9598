// Keras' descriptions of models: the JSON read, written as a graph with variables of zeros, and the
// graph built as a network.
#include "graft/models/graph/graph_module.h"
#include "graft/models/keras/keras_graph.h"
#include "graft/tests/fuzz/target.h"

namespace {

constexpr int64_t most_variable_elements = 1 << 14, most_folded = 1 << 20;

// A variable of whatever shape a layer wants, while it is small: a file would have to hold it.
class ZeroVariables final : public graft::models::keras::Variables {
 public:
  ZeroVariables() = default;
  graft::Tensor take(const graft::models::keras::LayerPath&, int64_t,
                     const std::vector<std::string>&,
                     const std::vector<int64_t>& extents) override {
    std::vector<int64_t> known = extents;
    int64_t elements = 1;
    for (int64_t& extent : known) {
      extent = extent < 0 ? 3 : extent;
      if (extent > most_variable_elements) graft::bad_input("no variable is so large");
      elements *= extent;
      if (elements > most_variable_elements) graft::bad_input("no variable is so large");
    }
    elements_ += elements;
    if (elements_ > 16 * most_variable_elements) graft::bad_input("no file is so large");
    return graft::Tensor::zeros(graft::Shape(known));
  }

 private:
  int64_t elements_ = 0;
};

}  // namespace

GRAFT_FUZZ_TARGET(keras, 1024, 64 * most_folded, [](graft::fuzz::Bytes bytes) {
  using namespace graft::models;
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  ZeroVariables variables;
  const keras::KerasGraph graph = keras::write_graph(keras::read_description(text, ""), variables);
  const GraphModule network(
      read_graph(graph.model, {.folded_bytes = most_folded, .as_network = true}));
})
