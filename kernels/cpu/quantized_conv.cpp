// Convolution in 8-bit integers, and the quantisation of images.
#include "graft/kernels/ops/quantized_conv.h"

#include <algorithm>
#include <optional>

#include "graft/kernels/cpu/conv_problem.h"
#include "graft/kernels/cpu/register.h"

namespace graft::cpu {
namespace {

const U8* u8_data(const Tensor& t) { return reinterpret_cast<const U8*>(t.data<uint8_t>()); }

// A weight's panels by group, and what a zero of the input that is not 0 adds to each column.
class QuantizedPackedWeight final : public ops::PackedWeight {
 public:
  QuantizedPackedWeight(ExecContext& context, const KernelTable<U8>& table, const ConvShape& shape,
                        const Tensor& weight, int32_t zero)
      : table_(&table),
        zero_(zero),
        padded_(round_up(shape.group_k(), table.nr)),
        sources_(forward_sources<U8>(shape, weight)),
        offsets_(packed_offsets(table, sources_)),
        panels_(offsets_.back()),
        correction_(padded_ * shape.groups) {
    std::vector<U8*> to;
    for (size_t g = 0; g < sources_.size(); ++g) to.push_back(panels_.data() + offsets_[g]);
    pack<U8>(context, table, sources_, to);
    std::fill_n(correction_.data(), padded_ * shape.groups, 0);
    const WeightStrides strides(weight);
    const int8_t* w = weight.data<int8_t>();
    for (int64_t k = 0; k < shape.k; ++k) {
      int32_t& sum = correction_.data()[k / shape.group_k() * padded_ + k % shape.group_k()];
      for (int64_t c = 0; c < shape.group_c(); ++c)
        for (int64_t r = 0; r < shape.r; ++r)
          for (int64_t s = 0; s < shape.s; ++s)
            sum += zero * w[k * strides.k + c * strides.c + r * strides.r + s * strides.s];
    }
  }
  bool is_for(const KernelTable<U8>& table, int32_t zero) const {
    return table_ == &table && zero_ == zero;
  }
  int64_t padded() const { return padded_; }
  const U8* panels(int64_t g) const { return panels_.data() + offsets_[static_cast<size_t>(g)]; }
  const int32_t* correction(int64_t g) const { return correction_.data() + g * padded_; }

 private:
  const KernelTable<U8>* table_;
  int32_t zero_;
  int64_t padded_;  // a group's columns in whole panels
  std::vector<PackSource<U8>> sources_;
  std::vector<int64_t> offsets_;
  Scratch<U8> panels_;
  Scratch<int32_t> correction_;
};

Activation quantized_activation(ops::FusedActivation a) {
  return a == ops::FusedActivation::none   ? Activation::none
         : a == ops::FusedActivation::relu ? Activation::relu
                                           : Activation::relu6;
}

// A vector [K] with each group padded to whole panels.
void pad_groups(const Tensor& vector, const ConvShape& shape, int64_t padded, float* to) {
  std::fill_n(to, padded * shape.groups, 0.0F);
  for (int64_t g = 0; g < shape.groups; ++g)
    std::copy_n(vector.data<float>() + g * shape.group_k(), shape.group_k(), to + g * padded);
}

std::byte* element(const void* base, DType dtype, int64_t index) {
  return const_cast<std::byte*>(static_cast<const std::byte*>(base)) + index * size_of(dtype);
}

void forward_u8(ExecContext& context, ops::QuantizedConvForwardArgs& args) {
  const KernelTable<U8>& table = kernel_table_for<U8>(context);
  const ops::QuantizedConvAttributes& a = args.attributes;
  const ConvShape shape(args.x.shape(), args.weight.shape(), args.y.shape(), a.conv);
  std::optional<QuantizedPackedWeight> own;
  const auto* packed = dynamic_cast<const QuantizedPackedWeight*>(args.packed);
  if (!packed || !packed->is_for(table, a.x.zero))
    packed = &own.emplace(context, table, shape, args.weight, a.x.zero);
  const int64_t padded = packed->padded();
  const Scratch<float> multiplier(padded * shape.groups), bias(padded * shape.groups);
  pad_groups(args.multiplier, shape, padded, multiplier.data());
  pad_groups(args.bias, shape, padded, bias.data());

  void* y = args.y.mutable_raw();
  std::vector<IndirectConv<U8>> problems =
      forward_problems<U8>(shape, u8_data(args.x), static_cast<U8*>(y));
  std::vector<QuantizedFinish> finishes(problems.size());
  for (size_t i = 0; i < problems.size(); ++i) {
    const auto g = static_cast<int64_t>(i);
    QuantizedFinish& f = finishes[i];
    f.correction = packed->correction(g);
    f.multiplier = multiplier.data() + g * padded, f.bias = bias.data() + g * padded;
    f.activation = quantized_activation(a.activation);
    f.residual = args.residual
                     ? element(args.residual->raw(), args.residual->dtype(), g * shape.group_k())
                     : nullptr;
    f.residual_is_u8 = args.residual && args.residual->dtype() == DType::u8;
    f.residual_scale = a.residual.scale, f.residual_zero = a.residual.zero;
    f.out = element(y, args.y.dtype(), g * shape.group_k());
    f.out_is_u8 = args.y.dtype() == DType::u8;
    f.out_inverse = 1.0F / a.y.scale, f.out_zero = a.y.zero;
    problems[i].finish = &f;
    problems[i].packed = packed->panels(g);
    problems[i].padding = static_cast<U8>(a.x.zero);
  }
  run<U8>(context, table, problems);
}

const char* declines_u8(const ExecContext&, const ops::QuantizedConvForwardArgs& args) {
  if (args.x.rank() != 4 || !is_nhwc(args.x) || !is_nhwc(args.y))
    return "memory order is not channels_last";
  if (args.residual && !is_nhwc(*args.residual))
    return "the residual's memory order is not channels_last";
  const ConvShape shape(args.x.shape(), args.weight.shape(), args.y.shape(), args.attributes.conv);
  return shape.group_c() % 4 != 0 || merges_taps(shape)
             ? "channels are multiplied in fours, and taps of few channels are not joined"
             : nullptr;
}

void pack_u8(ExecContext& context, ops::QuantizedConvPackArgs& args) {
  // Only the weight matters to the packing: the smallest image that it fits.
  const Shape& w = args.weight.shape();
  Shape x{1, w[1] * args.attributes.conv.groups, w[2], w[3]};
  const auto& window = args.attributes.conv.window;
  x = x.with(2, (w[2] - 1) * window.dilation[0] + 1).with(3, (w[3] - 1) * window.dilation[1] + 1);
  const ConvShape shape(x, w, {1, w[0], 1, 1}, args.attributes.conv);
  args.packed = std::make_shared<QuantizedPackedWeight>(context, kernel_table_for<U8>(context),
                                                        shape, args.weight, args.attributes.x.zero);
}

const char* declines_pack_u8(const ExecContext&, const ops::QuantizedConvPackArgs& args) {
  return args.weight.rank() == 4 && args.weight.dtype() == DType::i8 ? nullptr
                                                                     : "only two spatial axes";
}

void quantize_u8(ExecContext& context, ops::QuantizeArgs& args) {
  constexpr int64_t kQuantized = 1 << 15;  // elements of a job
  const KernelTable<U8>& table = kernel_table_for<U8>(context);
  const float* x = args.x.data<float>();
  auto* y = reinterpret_cast<U8*>(args.y.mutable_data<uint8_t>());
  const int64_t count = args.x.numel();
  const float inverse = 1.0F / args.quantization.scale;
  context.parallel_for(ceil_div(count, kQuantized), [&](int64_t i) {
    table.quantize(x + i * kQuantized, std::min(kQuantized, count - i * kQuantized), inverse,
                   args.quantization.zero, y + i * kQuantized);
  });
}

const char* declines_quantize(const ExecContext&, const ops::QuantizeArgs& args) {
  return args.x.format() == args.y.format() ? nullptr : "memory orders differ";
}

}  // namespace

void register_quantized_conv(ops::QuantizedConvKernels& kernels) {
  kernels.quantize.add({"cpu", declines_quantize, quantize_u8});
  kernels.pack.add({"cpu_nhwc", declines_pack_u8, pack_u8});
  kernels.forward.add({"cpu_nhwc", declines_u8, forward_u8});
}

}  // namespace graft::cpu
