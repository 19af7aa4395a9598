// The 8-bit convolution against its definition: the same bits on every instruction set, whatever
// saturates elsewhere.
#include "graft/kernels/ops/quantized_conv.h"

#include <cstring>

#include "graft/tests/kernels/cpu_support.h"

namespace graft {
namespace {

using namespace cpu_tests;

struct QuantizedCase {
  const char* name;
  int64_t n, c, h, w, k, r, s;
  int64_t stride = 1, dilation = 1, pad = 0, groups = 1;

  ops::ConvAttributes attributes() const {
    ops::ConvAttributes a;
    a.window = ops::square_window(r, stride, pad, dilation);
    a.window.kernel = {r, s, 1};
    a.groups = groups;
    return a;
  }
  Shape x() const { return {n, c, h, w}; }
  Shape weight() const { return {k, c / groups, r, s}; }
};

const QuantizedCase quantized_cases[] = {
    {"1x1", 2, 16, 5, 7, 40, 1, 1},
    {"one output channel", 1, 12, 3, 3, 1, 1, 1},
    {"1x1 s2", 1, 32, 9, 7, 24, 1, 1, 2},
    {"3x3", 2, 20, 7, 6, 33, 3, 3, 1, 1, 1},
    {"3x3 s2", 1, 64, 9, 11, 70, 3, 3, 2, 1, 1},
    {"3x2 dilated", 1, 24, 9, 9, 16, 3, 2, 1, 2, 2},
    {"groups", 2, 48, 6, 5, 24, 3, 3, 1, 1, 1, 4},
    {"deep, many rows", 1, 520, 15, 16, 36, 1, 1},
};

Tensor bytes(const Shape& shape, uint64_t seed, MemoryFormat format = MemoryFormat::channels_last) {
  Tensor t = Tensor::empty(shape, {.dtype = DType::u8, .format = format});
  CountedRandom numbers(seed, RandomPurpose::synthetic);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(numbers.uniform() * 256);
  return t;
}

// One call with `residual` f32, u8 or none (i8 stands for none) and a result of `out`.
Tensor quantized_result(ExecContext& context, const QuantizedCase& c, DType residual_dtype,
                        DType out, bool extreme, bool packed) {
  ops::QuantizedConvAttributes a;
  a.conv = c.attributes();
  a.activation = out == DType::u8 ? ops::FusedActivation::relu : ops::FusedActivation::none;
  a.x = {0.02F, 7}, a.residual = {0.03F, 120}, a.y = {0.05F, extreme ? 0 : 31};
  Tensor x = bytes(c.x(), 1), weight = Tensor::empty(c.weight(), {.dtype = DType::i8});
  const Tensor noise = bytes(c.weight(), 2, MemoryFormat::contiguous);
  for (int64_t i = 0; i < weight.numel(); ++i)
    weight.mutable_data<int8_t>()[i] =
        extreme ? (i % 5 ? 127 : -127)
                : static_cast<int8_t>(std::max(-127, noise.data<uint8_t>()[i] - 128));
  if (extreme) std::memset(x.mutable_raw(), 255, static_cast<size_t>(x.bytes()));
  const Tensor multiplier = random({c.k}, 3), bias = random({c.k}, 4);
  const Shape shape = ops::conv_output_shape(c.x(), c.weight(), a.conv);
  Tensor residual;
  if (residual_dtype == DType::u8) residual = bytes(shape, 5);
  if (residual_dtype == DType::f32) residual = random(shape, 5, MemoryFormat::channels_last);
  Tensor y = Tensor::zeros(shape, {.dtype = out, .format = MemoryFormat::channels_last});
  std::shared_ptr<const ops::PackedWeight> kept;
  const auto& kernels = kernels_for<ops::QuantizedConvKernels>(x);
  if (packed) kernels.pack(context, {weight, a, kept});
  kernels.forward(context, {x, weight, kept.get(), multiplier, bias,
                            residual.defined() ? &residual : nullptr, a, y});
  return y;
}

TEST(QuantizedConv, IsTheSameBitsEverywhere) {
  ExecContext reference = only("reference", 2);
  std::vector<InstructionSet> sets = instruction_sets();
  if (machine_instruction_set() > sets.back()) sets.push_back(machine_instruction_set());
  for (const QuantizedCase& c : quantized_cases)
    for (const DType residual : {DType::i8, DType::u8, DType::f32})
      for (const DType out : {DType::u8, DType::f32})
        for (const bool extreme : {false, true}) {
          const Tensor expected = quantized_result(reference, c, residual, out, extreme, false);
          for (const InstructionSet set : sets)
            for (const int threads : {1, 3}) {
              ExecContext engine = only("cpu_nhwc", threads, set);
              const Tensor y = quantized_result(engine, c, residual, out, extreme, threads > 1);
              EXPECT_EQ(std::memcmp(y.raw(), expected.raw(), static_cast<size_t>(y.bytes())), 0)
                  << c.name << " " << name_of(set) << " residual " << name_of(residual) << " to "
                  << name_of(out) << (extreme ? " extreme" : "");
            }
        }
}

TEST(QuantizedConv, QuantizesTheSameEverywhere) {
  std::vector<float> values{0,        -0.0F,     0.5F, 1.5F,   2.5F,   -0.5F, 1e30F, -1e30F,
                            INFINITY, -INFINITY, NAN,  254.4F, 254.6F, 300,   -20.5F};
  for (int i = 0; i < 40; ++i) values.push_back(static_cast<float>(i) * 7.3F - 60);
  const Tensor x = Tensor::of({static_cast<int64_t>(values.size())}, values);
  const ops::Quantization q{1, 20};
  std::vector<std::vector<uint8_t>> results;
  std::vector<InstructionSet> sets = instruction_sets();
  sets.push_back(machine_instruction_set());
  for (const char* kernel : {"reference", "cpu"})
    for (const InstructionSet set : sets) {
      ExecContext context = only(kernel, 1, set);
      Tensor y = Tensor::empty(x.shape(), {.dtype = DType::u8});
      kernels_for<ops::QuantizedConvKernels>(x).quantize(context, {x, q, y});
      results.emplace_back(y.data<uint8_t>(), y.data<uint8_t>() + y.numel());
      EXPECT_EQ(results.back(), results.front()) << kernel << " " << name_of(set);
    }
  const std::vector<uint8_t>& first = results.front();
  EXPECT_EQ((std::vector<uint8_t>(first.begin(), first.begin() + 15)),
            (std::vector<uint8_t>{20, 20, 20, 22, 22, 20, 255, 0, 255, 0, 0, 255, 255, 255, 0}));
}

}  // namespace
}  // namespace graft
