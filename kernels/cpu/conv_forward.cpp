// Convolution forward, plain and fused: packs the weight (unless a plan has done so), then one run of the engine.
#include <algorithm>
#include <optional>

#include "graft/kernels/cpu/conv_problem.h"
#include "graft/kernels/cpu/register.h"

namespace graft::cpu {
namespace {

// All groups' panels in one block, in the layout of one kernel table.
template <class T>
class EnginePackedWeight final : public ops::PackedWeight {
 public:
  EnginePackedWeight(ExecContext& context, const KernelTable<T>& table, const std::vector<PackSource<T>>& sources)
      : table_(&table), offsets_(packed_offsets(table, sources)), data_(offsets_.back()) {
    std::vector<T*> to;
    for (size_t i = 0; i < sources.size(); ++i) to.push_back(data_.data() + offsets_[i]);
    cpu::pack<T>(context, table, sources, to);
  }
  bool is_for(const KernelTable<T>& table) const { return table_ == &table; }
  const T* group(size_t g) const { return data_.data() + offsets_[g]; }

 private:
  const KernelTable<T>* table_;
  std::vector<int64_t> offsets_;
  Scratch<T> data_;
};

Activation engine_activation(ops::FusedActivation activation) {
  switch (activation) {
    case ops::FusedActivation::none: return Activation::none;
    case ops::FusedActivation::relu: return Activation::relu;
    case ops::FusedActivation::relu6: return Activation::relu6;
  }
  return Activation::none;
}

template <class T>
void run_forward(ExecContext& context, const ops::FusedConvForwardArgs& args) {
  const KernelTable<T>& table = kernel_table_for<T>(context);
  const ConvShape shape(args.x.shape(), args.weight.shape(), args.y.shape(), args.attributes.conv);
  std::optional<EnginePackedWeight<T>> own;
  const auto* packed = dynamic_cast<const EnginePackedWeight<T>*>(args.packed);
  if (!packed || !packed->is_for(table)) packed = &own.emplace(context, table, forward_sources<T>(shape, args.weight));

  // Each group's bias is padded to whole panels.
  const int64_t padded = round_up(shape.group_k(), table.nr);
  Scratch<T> bias(args.bias ? padded * shape.groups : 0);
  if (args.bias) {
    const Tensor values = args.bias->to(dtype_of<T>::value);
    std::fill(bias.data(), bias.data() + padded * shape.groups, T(0));
    for (int64_t g = 0; g < shape.groups; ++g)
      std::copy_n(values.data<T>() + g * shape.group_k(), shape.group_k(), bias.data() + g * padded);
  }
  std::vector<IndirectConv<T>> problems = forward_problems<T>(shape, args.x.data<T>(), args.y.mutable_data<T>());
  for (size_t g = 0; g < problems.size(); ++g) {
    const auto group = static_cast<int64_t>(g);
    problems[g].packed = packed->group(g);
    problems[g].bias = args.bias ? bias.data() + group * padded : nullptr;
    problems[g].residual = args.residual ? args.residual->data<T>() + group * shape.group_k() : nullptr;
    problems[g].activation = engine_activation(args.attributes.activation);
  }
  run<T>(context, table, problems);
}

const char* declines(const ExecContext&, const ops::ConvForwardArgs& args) {
  if (!is_nhwc(args.y)) return "the result's memory order is not channels_last";  // x of one channel has both orders
  return engine_declines_conv(args.x, args.y, &args.weight);
}

void forward(ExecContext& context, ops::ConvForwardArgs& args) {
  const ops::FusedConvAttributes attributes{args.attributes, ops::FusedActivation::none};
  visit_engine_dtype(args.x.dtype(), [&](auto zero) {
    run_forward<decltype(zero)>(context, {args.x, args.weight, nullptr, args.bias, nullptr, attributes, args.y});
  });
}

const char* declines_fused(const ExecContext&, const ops::FusedConvForwardArgs& args) {
  if (!is_nhwc(args.y)) return "the result's memory order is not channels_last";
  if (args.residual && (!is_nhwc(*args.residual) || args.residual->dtype() != args.y.dtype()))
    return "the residual has another dtype or memory order";
  return engine_declines_conv(args.x, args.y, &args.weight);
}

void fused_forward(ExecContext& context, ops::FusedConvForwardArgs& args) {
  visit_engine_dtype(args.x.dtype(), [&](auto zero) { run_forward<decltype(zero)>(context, args); });
}

const char* declines_pack(const ExecContext&, const ops::FusedConvPackArgs& args) {
  if (args.weight.rank() != 4) return "only two spatial axes";
  return is_engine_dtype(args.weight.dtype()) ? nullptr : "only f32 and f64";
}

void fused_pack(ExecContext& context, ops::FusedConvPackArgs& args) {
  const Shape& w = args.weight.shape();
  const Shape x{1, w[1] * args.attributes.conv.groups, w[2], w[3]}, y{1, w[0], 1, 1};  // packing reads channels only
  const ConvShape shape(x, w, y, args.attributes.conv);
  visit_engine_dtype(args.weight.dtype(), [&](auto zero) {
    using T = decltype(zero);
    args.packed = std::make_shared<EnginePackedWeight<T>>(context, kernel_table_for<T>(context),
                                                          forward_sources<T>(shape, args.weight));
  });
}

}  // namespace

void register_conv_forward(KernelSet& set) {
  set.conv.forward.add({"cpu_nhwc", declines, forward});
  set.fused_conv.pack.add({"cpu_nhwc", declines_pack, fused_pack});
  set.fused_conv.forward.add({"cpu_nhwc", declines_fused, fused_forward});
}

}  // namespace graft::cpu
