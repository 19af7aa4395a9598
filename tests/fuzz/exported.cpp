// PyTorch's export archives: the graph's JSON read and translated into ONNX's operators, with zeros
// for small tensors that it names.
#include "graft/core/tensor/state_dict.h"
#include "graft/models/aten/aten_graph.h"
#include "graft/tests/fuzz/target.h"

namespace {
constexpr int64_t most_elements = 64;  // of a stored tensor
}

GRAFT_FUZZ_TARGET(exported, 1024, 8 << 20, [](graft::fuzz::Bytes bytes) {
  graft::io::ExportedProgram program = graft::io::parse_exported_program(
      {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  for (const auto& input : program.inputs) {
    const auto meta = program.values.find(input.name);
    if (input.role == graft::io::ExportedRole::user || meta == program.values.end() ||
        program.tensors.contains(input.target) || meta->second.free_axes() > 0)
      continue;
    const graft::Shape shape(meta->second.sizes);
    if (shape.numel() <= most_elements)
      program.tensors.add(input.target, graft::Tensor::zeros(shape));
  }
  graft::models::onnx_graph(program);
})
