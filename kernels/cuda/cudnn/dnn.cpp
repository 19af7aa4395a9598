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
  std::string line = str("conv ", name_of(pass), " ", graft::name_of(type), " image ", n, "x", h, "x", w, "x", c, " weight ", k, "x", r, "x", s, "x",
                         c / groups, " result ", p, "x", q, " stride ", pair(stride), " pad ", pair(pad_begin), " end ", pair(pad_end), " dilation ",
                         pair(dilation), " groups ", groups);
  if (pass == ConvPass::backward_weight) line += str(" stored ", graft::name_of(gradient));
  return line + (bias ? " +bias" : "") + (residual ? " +residual" : "") +
         (activation == Activation::none ? "" : activation == Activation::relu ? " relu" : " relu6");
}

std::string PlanRules::text() const {
  return str(tf32 ? "tf32" : "no tf32", deterministic ? ", deterministic" : ", any order", ", workspace ", workspace_limit);
}

}  // namespace graft::cudnn
