// graph_gradients MODEL.onnx X.npy OUT.npz: one pass forward and back through a graph in eval mode.
// OUT holds the gradient of mean(y^2), y the graph's first output for X, with respect to each
// parameter, under the parameter's name.
#include <cstdio>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/io/weights/formats.h"
#include "graft/layers/functional/binary.h"
#include "graft/models/graph/graph_module.h"

namespace {

void write_gradients(const std::string& model, const std::string& x, const std::string& out) {
  using namespace graft;
  ExecContext context(0);
  const ScopedExecContext scope(context);
  models::GraphModule module(models::read_graph(io::onnx::read_model(model)));
  module.train(false);
  const Tensor images[] = {io::read_npy(x).to(MemoryFormat::channels_last)};
  const Tensor y = module.run(images).at(0);
  Tensor seed = y.detach().clone();
  float* values = seed.mutable_data<float>();
  for (int64_t i = 0; i < seed.numel(); ++i) values[i] *= 2.0F / static_cast<float>(seed.numel());
  backward(y, seed);
  StateDict gradients;
  for (const NamedTensor& parameter : module.parameters())
    gradients.add(parameter.name, grad_of(parameter.tensor).defined()
                                      ? grad_of(parameter.tensor).to(MemoryFormat::contiguous)
                                      : Tensor::zeros(parameter.tensor.shape()));
  io::write_npz(out, gradients);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: graph_gradients MODEL.onnx X.npy OUT.npz\n");
    return 2;
  }
  try {
    write_gradients(argv[1], argv[2], argv[3]);
  } catch (const graft::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
