// ONNX models as networks: the file parsed, its functions inlined, its constants folded, the
// network built, and its nodes written to a card and read back.
#include "graft/core/tensor/state_dict.h"
#include "graft/io/onnx/model.h"
#include "graft/models/graph/graph_config.h"
#include "graft/models/graph/graph_module.h"
#include "graft/tests/fuzz/target.h"

namespace {
constexpr int64_t most_folded_bytes =
    1 << 20;  // what constants may grow to; a run of the command allows 1 GiB
}

GRAFT_FUZZ_TARGET(graph, 256, 8 * most_folded_bytes, [](graft::fuzz::Bytes bytes) {
  using namespace graft::models;
  const GraphSource source =
      read_graph(graft::io::onnx::parse_model(bytes, "input"), {.folded_bytes = most_folded_bytes});
  const GraphModule network(source);
  std::string card;
  try {
    card = graph_to_json(source);
  } catch (const graft::Error&) {
    return;  // an attribute that no card can store
  }
  std::string again;
  try {
    again = graph_to_json(graph_from_json(card));
  } catch (const graft::Error& error) {
    again = error.what();
  }
  if (again != card)
    graft::fail(graft::ErrorCode::internal, "the card says ", card, ", read back: ", again);
})
