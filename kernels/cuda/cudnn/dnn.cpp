#include "graft/kernels/cuda/cudnn/dnn.h"

#include "graft/core/base/text.h"

namespace graft::cudnn {
namespace {

const char* name_of(ConvPass pass) {
  switch (pass) {
    case ConvPass::forward: return "forward";
    case ConvPass::backward_data: return "backward-data";
    case ConvPass::backward_weight: return "backward-weight";
  }
  return "?";
}

std::string pair(const std::array<int64_t, 2>& v) { return str(v[0], "x", v[1]); }

}  // namespace

std::string ConvGraph::text() const {
  std::string line = str("conv ", name_of(pass), " ", graft::name_of(type), " image ", n, "x", h,
                         "x", w, "x", c, " weight ", k, "x", r, "x", s, "x", c / groups, " result ",
                         p, "x", q, " stride ", pair(stride), " pad ", pair(pad_begin), " end ",
                         pair(pad_end), " dilation ", pair(dilation), " groups ", groups);
  if (pass == ConvPass::backward_weight) line += str(" stored ", graft::name_of(gradient));
  return line + (bias ? " +bias" : "") + (residual ? " +residual" : "") +
         (activation == Activation::none   ? ""
          : activation == Activation::relu ? " relu"
                                           : " relu6");
}

std::vector<Operand> operands_of(const ConvGraph& graph) {
  std::vector<Operand> operands{Operand::image, Operand::weight, Operand::result};
  if (graph.bias) operands.push_back(Operand::bias);
  if (graph.residual) operands.push_back(Operand::residual);
  return operands;
}

int64_t bytes_of(const ConvGraph& g, Operand operand) {
  const int64_t size = size_of(g.type),
                weight_size = size_of(g.pass == ConvPass::backward_weight ? g.gradient : g.type);
  switch (operand) {
    case Operand::image: return g.n * g.h * g.w * g.c * size;
    case Operand::weight: return g.k * g.r * g.s * (g.c / g.groups) * weight_size;
    case Operand::result:
    case Operand::residual: return g.n * g.p * g.q * g.k * size;
    case Operand::bias: return g.k * 4;
  }
  return 0;
}

gpu::Status Dnn::build(const ConvGraph& graph, const PlanRules& rules,
                       std::unique_ptr<Plan>& plan) {
  std::vector<std::unique_ptr<Plan>> plans;
  const gpu::Status status = propose(graph, rules, 1, plans);
  if (status.ok()) plan = std::move(plans.front());
  return status;
}

std::string PlanRules::text() const {
  return str(tf32 ? "tf32" : "no tf32", deterministic ? ", deterministic" : ", any order",
             ", workspace ", workspace_limit);
}

}  // namespace graft::cudnn
