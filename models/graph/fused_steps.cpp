// Steps of a graph that run as one, as in graft's own networks: x * Sigmoid(x) as Swish; batch
// norm, the sum behind it and ReLU in one pass; convolutions that give the norm behind them its
// statistics. The steps stay beside, for runs that begin or end between them.
#include "graft/models/graph/graph_program.h"

namespace graft::models {

class GraphModule::StepFuser {
 public:
  explicit StepFuser(Program& program)
      : p_(program), readers_(program.constants.size()), makers_(program.constants.size(), kNone) {
    for (const int v : p_.output_values) readers_[static_cast<size_t>(v)] += 2;  // no one step's
    for (size_t i = 0; i < p_.steps.size(); ++i) {
      for (const int v : p_.steps[i].inputs)
        if (v != kNoValue) ++readers_[static_cast<size_t>(v)];
      for (const int v : p_.steps[i].outputs)
        if (v != kNoValue) makers_[static_cast<size_t>(v)] = i;
    }
  }

  void operator()() {
    for (size_t i = 0; i < p_.steps.size(); ++i) {
      if (is(i, "Mul", 2)) fuse_swish(i);
      if (is(i, "Relu", 1)) fuse_relu(i);
    }
    for (size_t i = 0; i < p_.steps.size(); ++i)
      if (is(i, "Add", 2)) fuse_sum(i, i);
    for (size_t i = 0; i < p_.steps.size(); ++i)
      if (p_.steps[i].norm) take_statistics_before(i);
  }

 private:
  static constexpr size_t kNone = Step::kNone;

  bool is(size_t step, std::string_view op_type, size_t inputs) const {
    const Step& s = p_.steps[step];
    return s.node.op_type == op_type && s.node.domain.empty() && is_free(step) &&
           s.inputs.size() == inputs && s.outputs.size() == 1 && s.outputs[0] != kNoValue;
  }
  bool is_free(size_t step) const {
    return p_.steps[step].absorbed_by == kNone && !p_.steps[step].fused;
  }
  bool is_constant(int value) const {
    return value == kNoValue || p_.constants[static_cast<size_t>(value)] != nullptr;
  }
  // The step that makes `value` for one reader alone.
  size_t maker_for_one(int value) const {
    if (is_constant(value) || readers_[static_cast<size_t>(value)] != 1) return kNone;
    return makers_[static_cast<size_t>(value)];
  }
  // `fused` runs in place of `last` and of the steps before it that it absorbs, first to last.
  void put(Step fused, size_t last, std::initializer_list<size_t> absorbed) {
    for (const size_t i : absorbed) {
      const std::vector<int>& done = p_.steps[i].last_uses;
      fused.last_uses.insert(fused.last_uses.end(), done.begin(), done.end());
      p_.steps[i].absorbed_by = last;
    }
    p_.steps[last].fused_from = *absorbed.begin();
    p_.steps[last].fused = std::make_shared<const Step>(std::move(fused));
  }

  void fuse_swish(size_t i) {
    Step product = p_.steps[i];
    for (const size_t k : {size_t{0}, size_t{1}}) {
      const int x = product.inputs[1 - k];
      const size_t gate = maker_for_one(product.inputs[k]);
      if (is_constant(x) || gate == kNone || !is(gate, "Sigmoid", 1) ||
          p_.steps[gate].inputs[0] != x)
        continue;
      product.node.op_type = "Swish";
      product.node.inputs = {product.node.inputs[1 - k]};
      product.op = graph::find_operator("", "Swish");
      product.inputs = {x};
      return put(std::move(product), i, {gate});
    }
  }

  bool is_norm(size_t step) const { return step != kNone && p_.steps[step].norm && is_free(step); }

  // Norm and ReLU, or norm, sum and ReLU.
  void fuse_relu(size_t i) {
    const size_t before = maker_for_one(p_.steps[i].inputs[0]);
    if (is_norm(before)) {
      Step fused = norm_in_place_of(i, before);
      fused.relu = true;
      put(std::move(fused), i, {before});
    } else if (before != kNone && is(before, "Add", 2)) {
      fuse_sum(before, i);
    }
  }

  // A norm, the sum with it, and where that is not the last step a ReLU.
  void fuse_sum(size_t sum, size_t last) {
    const std::vector<int> terms = p_.steps[sum].inputs;
    for (const size_t k : {size_t{0}, size_t{1}}) {
      const size_t norm = maker_for_one(terms[k]);
      if (!is_norm(norm) || is_constant(terms[1 - k])) continue;
      Step fused = norm_in_place_of(last, norm);
      fused.adds = true, fused.relu = last != sum;
      fused.inputs.push_back(terms[1 - k]);
      return last == sum ? put(std::move(fused), last, {norm})
                         : put(std::move(fused), last, {norm, sum});
    }
  }

  Step norm_in_place_of(size_t i, size_t norm) const {
    const Step& from = p_.steps[norm];
    Step fused = p_.steps[i];
    fused.node = from.node, fused.op = from.op, fused.opset = from.opset, fused.norm = from.norm;
    fused.inputs = {from.inputs[0]};
    return fused;
  }

  void take_statistics_before(size_t i) {
    const size_t before = maker_for_one(p_.steps[i].inputs[0]);
    if (before != kNone && p_.steps[before].node.op_type == "Conv" &&
        p_.steps[before].node.domain.empty() && p_.steps[before].outputs.size() == 1)
      p_.steps[before].norm_behind = p_.steps[i].norm;
  }

  Program& p_;
  std::vector<int> readers_;    // by value
  std::vector<size_t> makers_;  // by value
};

void GraphModule::fuse_steps() { StepFuser{*program_}(); }

}  // namespace graft::models
