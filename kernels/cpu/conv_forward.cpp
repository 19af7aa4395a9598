// Convolution forward, plain and fused: packs the weight (unless a plan has done so), then one run
// of the engine.
#include <algorithm>
#include <memory>
#include <optional>

#include "graft/kernels/cpu/conv_problem.h"
#include "graft/kernels/cpu/depthwise.h"
#include "graft/kernels/cpu/packed_weight.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/cpu/winograd.h"
#include "graft/kernels/ops/conv.h"
#include "graft/kernels/ops/fused_conv.h"

namespace graft::cpu {
namespace {

// Each group's bias, padded to whole panels; nothing without a bias.
template <class T>
class PaddedBias {
 public:
  using Value = typename ParameterOf<T>::type;
  PaddedBias(const KernelTable<T>& table, const ConvShape& shape, const Tensor* bias)
      : padded_(round_up(shape.group_k(), table.nr)),
        values_(bias ? padded_ * shape.groups : 0),
        given_(bias != nullptr) {
    if (!bias) return;
    const Tensor converted = bias->to(dtype_of<Value>::value);
    std::fill(values_.data(), values_.data() + padded_ * shape.groups, Value(0));
    for (int64_t g = 0; g < shape.groups; ++g)
      std::copy_n(converted.data<Value>() + g * shape.group_k(), shape.group_k(),
                  values_.data() + g * padded_);
  }
  const Value* group(int64_t g) const { return given_ ? values_.data() + g * padded_ : nullptr; }

 private:
  int64_t padded_;
  Scratch<Value> values_;
  bool given_;
};

// What a forward pass runs on; `packed` may be made for the one call.
template <class T>
struct ForwardCall {
  const KernelTable<T>& table;
  ConvShape shape;
  EnginePackedWeight<T> own;
  const EnginePackedWeight<T>* packed;
  PaddedBias<T> bias;
  std::optional<MapAttributes> map;
  std::vector<IndirectConv<T>> problems;  // by group

  ForwardCall(ExecContext& context, const ops::FusedConvForwardArgs& args)
      : table(kernel_table_for<T>(context)),
        shape(args.x.shape(), args.weight.shape(), args.y.shape(), args.attributes.conv),
        own(table),
        packed(packed_for(args.packed)),
        bias(table, shape, args.bias),
        map(engine_map(args.attributes)),
        problems(forward_problems<T>(shape, image_data<T>(args.x), mutable_image_data<T>(args.y))) {
    if (!packed || !packed->is_for(table)) packed = &own;
    for (size_t g = 0; g < problems.size(); ++g) {
      const auto group = static_cast<int64_t>(g);
      problems[g].bias = bias.group(group);
      problems[g].residual =
          args.residual ? image_data<T>(*args.residual) + group * shape.group_k() : nullptr;
      problems[g].activation = engine_activation(args.attributes.activation);
      problems[g].map = map ? &*map : nullptr;
    }
  }

 private:
  const EnginePackedWeight<T>* packed_for(const ops::PackedWeight* given) const {
    if constexpr (std::is_same_v<T, Bf16>) {
      const auto* floats = dynamic_cast<const EnginePackedWeight<float>*>(given);
      return floats ? floats->in_pairs(table) : nullptr;
    } else {
      return dynamic_cast<const EnginePackedWeight<T>*>(given);
    }
  }
};

template <class T>
void run_call(ExecContext& context, const ops::FusedConvForwardArgs& args, ForwardCall<T>& call) {
  if (call.packed == &call.own && packs_while_running(call.problems[0])) {
    const ConvShape met = call.shape.without_idle_taps();
    const std::vector<PackSource<T>> sources = forward_sources<T>(met, args.weight);
    const std::vector<IndirectConv<T>> cropped =
        forward_problems<T>(met, image_data<T>(args.x), call.problems[0].out);
    for (size_t g = 0; g < sources.size(); ++g) {
      call.problems[g].taps = cropped[g].taps, call.problems[g].merged = cropped[g].merged;
      call.problems[g].source = &sources[g];
    }
    run<T>(context, call.table, call.problems);
    return;
  }
  const std::vector<const T*> panels = call.packed->panels(context, call.shape, args.weight);
  for (size_t g = 0; g < call.problems.size(); ++g) call.problems[g].packed = panels[g];
  run<T>(context, call.table, call.problems);
}

template <class T>
void run_forward(ExecContext& context, const ops::FusedConvForwardArgs& args) {
  ForwardCall<T> call(context, args);
  run_call(context, args, call);
}

template <class T>
void run_forward_statistics(ExecContext& context, const ops::ConvForwardStatisticsArgs& args) {
  using P = typename ParameterOf<T>::type;
  const ops::FusedConvAttributes attributes{args.attributes, ops::FusedActivation::none};
  const ops::FusedConvForwardArgs forward{args.x,  args.weight, nullptr, args.bias,
                                          nullptr, attributes,  args.y};
  ForwardCall<T> call(context, forward);
  const BlockMoments<P> moments(args.y.numel() / call.shape.k,
                                block_rows(call.table, call.problems[0]), call.shape.k);
  call.problems[0].moments = &moments;
  run_call(context, forward, call);
  moments.join(context, args.mean.mutable_data<P>(), args.variance.mutable_data<P>());
}

void run_winograd(ExecContext& context, const ops::FusedConvForwardArgs& args) {
  ForwardCall<float> call(context, args);
  call.problems[0].packed = call.packed->transformed(context, call.shape, args.weight);
  winograd_run(context, call.table, call.problems[0]);
  if (!call.map) return;
  constexpr int64_t elements = 1 << 15;  // of a job
  const auto map = map_kernels_for<float>(context).map;
  float* y = args.y.mutable_data<float>();
  context.parallel_for(ceil_div(args.y.numel(), elements), [&](int64_t job) {
    float* part = y + job * elements;
    map(*call.map, part, std::min(elements, args.y.numel() - job * elements), part);
  });
}

template <class T>
void run_depthwise_forward(ExecContext& context, const ops::FusedConvForwardArgs& args,
                           const DepthwiseGrid& grid,
                           const BlockMoments<typename ParameterOf<T>::type>* moments = nullptr) {
  using P = typename ParameterOf<T>::type;
  const ConvShape shape(args.x.shape(), args.weight.shape(), args.y.shape(), args.attributes.conv);
  const EnginePackedWeight<P> own(kernel_table_for<P>(context));
  const auto* packed = dynamic_cast<const EnginePackedWeight<P>*>(args.packed);
  const std::optional<MapAttributes> map = engine_map(args.attributes);
  run_depthwise<T>(
      context, channel_kernels_for<T>(context),
      {grid, image_data<T>(args.x), (packed ? packed : &own)->by_tap(shape, args.weight),
       args.bias ? args.bias->data<P>() : nullptr,
       args.residual ? image_data<T>(*args.residual) : nullptr, mutable_image_data<T>(args.y),
       engine_activation(args.attributes.activation), map ? &*map : nullptr, moments});
}

const char* declines(const ExecContext&, const ops::ConvForwardArgs& args) {
  if (!is_nhwc(args.y))
    return "the result's memory order is not channels_last";  // x of one channel has both orders
  return engine_declines_conv(args.x, args.y, &args.weight);
}

void forward(ExecContext& context, ops::ConvForwardArgs& args) {
  const ops::FusedConvAttributes attributes{args.attributes, ops::FusedActivation::none};
  visit_engine_dtype(args.x.dtype(), [&](auto zero) {
    run_forward<decltype(zero)>(
        context, {args.x, args.weight, nullptr, args.bias, nullptr, attributes, args.y});
  });
}

const char* declines_fused(const ExecContext&, const ops::FusedConvForwardArgs& args) {
  if (!is_nhwc(args.y)) return "the result's memory order is not channels_last";
  if (args.residual && (!is_nhwc(*args.residual) || args.residual->dtype() != args.y.dtype()))
    return "the residual has another dtype or memory order";
  if (const char* reason = declines_map(args.x.dtype(), args.attributes)) return reason;
  return engine_declines_conv(args.x, args.y, &args.weight);
}

void fused_forward(ExecContext& context, ops::FusedConvForwardArgs& args) {
  visit_engine_dtype(args.x.dtype(),
                     [&](auto zero) { run_forward<decltype(zero)>(context, args); });
}

const char* declines_pack(const ExecContext&, const ops::FusedConvPackArgs& args) {
  if (args.weight.rank() != 4) return "only two spatial axes";
  return is_engine_dtype(args.weight.dtype()) ? nullptr : "only f32 and f64";
}

void fused_pack(ExecContext& context, ops::FusedConvPackArgs& args) {
  visit_engine_dtype(args.weight.dtype(), [&](auto zero) {
    using T = decltype(zero);
    args.packed = std::make_shared<EnginePackedWeight<T>>(kernel_table_for<T>(context));
  });
}

const char* declines_winograd(const ExecContext& context, const ops::FusedConvForwardArgs& args) {
  if (const char* reason = declines_fused(context, args)) return reason;
  return winograd_declines(
      ConvShape(args.x.shape(), args.weight.shape(), args.y.shape(), args.attributes.conv),
      args.x.dtype());
}
void winograd_fused(ExecContext& context, ops::FusedConvForwardArgs& args) {
  run_winograd(context, args);
}

const char* declines_winograd_plain(const ExecContext& context, const ops::ConvForwardArgs& args) {
  if (const char* reason = declines(context, args)) return reason;
  return winograd_declines(
      ConvShape(args.x.shape(), args.weight.shape(), args.y.shape(), args.attributes),
      args.x.dtype());
}
void winograd_plain(ExecContext& context, ops::ConvForwardArgs& args) {
  const ops::FusedConvAttributes attributes{args.attributes, ops::FusedActivation::none};
  run_winograd(context, {args.x, args.weight, nullptr, args.bias, nullptr, attributes, args.y});
}

// Images in bfloat16 too, on every instruction set.
const char* declines_depthwise(const ExecContext&, const ops::FusedConvForwardArgs& args) {
  const DType dtype = args.x.dtype();
  if (!is_image_dtype(dtype) || args.y.dtype() != dtype) return "only f32, f64 and bf16";
  if (!is_nhwc(args.x) || !is_nhwc(args.y)) return "memory order is not channels_last";
  if (args.residual && (!is_nhwc(*args.residual) || args.residual->dtype() != dtype))
    return "the residual has another dtype or memory order";
  if (args.weight.dtype() != parameter_dtype(dtype)) return "the weight has another dtype";
  if (const char* reason = declines_map(dtype, args.attributes)) return reason;
  if (args.bias && args.bias->dtype() != parameter_dtype(dtype))
    return "the bias has another dtype";
  return is_depthwise(
             ConvShape(args.x.shape(), args.weight.shape(), args.y.shape(), args.attributes.conv))
             ? nullptr
             : "not one filter a channel";
}
void depthwise_fused(ExecContext& context, ops::FusedConvForwardArgs& args) {
  const DepthwiseGrid grid = depthwise_forward_grid(
      ConvShape(args.x.shape(), args.weight.shape(), args.y.shape(), args.attributes.conv));
  visit_image_dtype(args.x.dtype(),
                    [&](auto zero) { run_depthwise_forward<decltype(zero)>(context, args, grid); });
}
const char* declines_depthwise_plain(const ExecContext& context, const ops::ConvForwardArgs& args) {
  const ops::FusedConvAttributes attributes{args.attributes, ops::FusedActivation::none};
  return declines_depthwise(context,
                            {args.x, args.weight, nullptr, args.bias, nullptr, attributes, args.y});
}
void depthwise_plain(ExecContext& context, ops::ConvForwardArgs& args) {
  const ops::FusedConvAttributes attributes{args.attributes, ops::FusedActivation::none};
  ops::FusedConvForwardArgs fused{args.x,  args.weight, nullptr, args.bias,
                                  nullptr, attributes,  args.y};
  depthwise_fused(context, fused);
}

// bfloat16 images with float weights. Channels are multiplied in pairs; where a filter row is one
// run, it ends in a zero.
const char* declines_bf16(const ExecContext& context, const ops::FusedConvForwardArgs& args) {
  if (!has_bf16(context)) return "the instruction set has no bfloat16";
  if (args.x.dtype() != DType::bf16 || args.y.dtype() != DType::bf16 ||
      args.weight.dtype() != DType::f32)
    return "only bf16 images with f32 weights";
  if (args.x.rank() != 4 || !is_nhwc(args.x) || !is_nhwc(args.y))
    return "memory order is not channels_last";
  if (args.residual && (!is_nhwc(*args.residual) || args.residual->dtype() != DType::bf16))
    return "the residual has another dtype or memory order";
  if (const char* reason = declines_map(DType::bf16, args.attributes)) return reason;
  const ConvShape shape(args.x.shape(), args.weight.shape(), args.y.shape(), args.attributes.conv);
  const bool runs = shape.group_c() <= 8 && shape.s > 1 && shape.dilation_w == 1;
  return shape.group_c() % 2 != 0 && !runs ? "an odd number of channels" : nullptr;
}
void bf16_fused(ExecContext& context, ops::FusedConvForwardArgs& args) {
  run_forward<Bf16>(context, args);
}

const char* declines_bf16_plain(const ExecContext& context, const ops::ConvForwardArgs& args) {
  const ops::FusedConvAttributes attributes{args.attributes, ops::FusedActivation::none};
  return declines_bf16(context,
                       {args.x, args.weight, nullptr, args.bias, nullptr, attributes, args.y});
}
void bf16_plain(ExecContext& context, ops::ConvForwardArgs& args) {
  const ops::FusedConvAttributes attributes{args.attributes, ops::FusedActivation::none};
  run_forward<Bf16>(context,
                    {args.x, args.weight, nullptr, args.bias, nullptr, attributes, args.y});
}

// Those for whom the rest of the pass is a run of the engine over one group.
const char* declines_statistics(const ops::ConvForwardStatisticsArgs& args) {
  if (args.attributes.groups != 1) return "more than one group";
  if (args.y.numel() == 0) return "no elements";
  const DType dtype = parameter_dtype(args.y.dtype());
  return args.mean.dtype() == dtype && args.variance.dtype() == dtype
             ? nullptr
             : "statistics of another dtype";
}
const char* declines_bf16_statistics(const ExecContext& context,
                                     const ops::ConvForwardStatisticsArgs& args) {
  if (const char* reason =
          declines_bf16_plain(context, {args.x, args.weight, args.bias, args.attributes, args.y}))
    return reason;
  return declines_statistics(args);
}
void bf16_statistics(ExecContext& context, ops::ConvForwardStatisticsArgs& args) {
  run_forward_statistics<Bf16>(context, args);
}

const char* declines_engine_statistics(const ExecContext& context,
                                       const ops::ConvForwardStatisticsArgs& args) {
  const ops::ConvForwardArgs forward{args.x, args.weight, args.bias, args.attributes, args.y};
  if (const char* reason = declines(context, forward)) return reason;
  if (!declines_winograd_plain(context, forward)) return "Winograd's transforms save more";
  return declines_statistics(args);
}
void engine_statistics(ExecContext& context, ops::ConvForwardStatisticsArgs& args) {
  visit_engine_dtype(args.x.dtype(),
                     [&](auto zero) { run_forward_statistics<decltype(zero)>(context, args); });
}

const char* declines_depthwise_statistics(const ExecContext& context,
                                          const ops::ConvForwardStatisticsArgs& args) {
  if (const char* reason = declines_depthwise_plain(
          context, {args.x, args.weight, args.bias, args.attributes, args.y}))
    return reason;
  if (args.y.numel() == 0) return "no elements";
  const DType dtype = parameter_dtype(args.y.dtype());
  return args.mean.dtype() == dtype && args.variance.dtype() == dtype
             ? nullptr
             : "statistics of another dtype";
}
void depthwise_statistics(ExecContext& context, ops::ConvForwardStatisticsArgs& args) {
  const ops::FusedConvAttributes attributes{args.attributes, ops::FusedActivation::none};
  const DepthwiseGrid grid = depthwise_forward_grid(
      ConvShape(args.x.shape(), args.weight.shape(), args.y.shape(), args.attributes));
  visit_image_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using P = typename ParameterOf<T>::type;
    const BlockMoments<P> moments(args.y.numel() / args.y.size(1), depthwise_block_rows(grid),
                                  args.y.size(1));
    run_depthwise_forward<T>(context,
                             {args.x, args.weight, nullptr, args.bias, nullptr, attributes, args.y},
                             grid, &moments);
    moments.join(context, args.mean.mutable_data<P>(), args.variance.mutable_data<P>());
  });
}

}  // namespace

void register_conv_forward(ops::ConvKernels& conv, ops::FusedConvKernels& fused_conv) {
  conv.forward.add({"cpu_depthwise", declines_depthwise_plain, depthwise_plain});
  fused_conv.forward.add({"cpu_depthwise", declines_depthwise, depthwise_fused});
  conv.forward.add({"cpu_avx512_bf16", declines_bf16_plain, bf16_plain});
  fused_conv.forward.add({"cpu_avx512_bf16", declines_bf16, bf16_fused});
  conv.forward.add({"cpu_winograd", declines_winograd_plain, winograd_plain});
  conv.forward.add({"cpu_nhwc", declines, forward});
  conv.forward_statistics.add(
      {"cpu_depthwise", declines_depthwise_statistics, depthwise_statistics});
  conv.forward_statistics.add({"cpu_avx512_bf16", declines_bf16_statistics, bf16_statistics});
  conv.forward_statistics.add({"cpu_nhwc", declines_engine_statistics, engine_statistics});
  fused_conv.pack.add({"cpu_nhwc", declines_pack, fused_pack});
  fused_conv.forward.add({"cpu_winograd", declines_winograd, winograd_fused});
  fused_conv.forward.add({"cpu_nhwc", declines_fused, fused_forward});
}

}  // namespace graft::cpu
