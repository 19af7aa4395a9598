// Exchanges of axes by blocked copies: the reference's elements, bit for bit, in every type, order
// and memory format, forward and backward.
#include <algorithm>
#include <cstring>

#include "graft/kernels/ops/take.h"
#include "graft/tests/kernels/cpu_support.h"

namespace graft {
namespace {

using namespace cpu_tests;

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.bytes() == b.bytes() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

ops::TakeAttributes exchange(const std::vector<int>& order) {
  ops::TakeAttributes attributes;
  for (const int from : order) attributes.axes.push_back({from, true, {}, 1});
  return attributes;
}

// Forward of x and backward of a gradient like the result.
std::pair<Tensor, Tensor> exchanged(ExecContext& context, const Tensor& x,
                                    const std::vector<int>& order, MemoryFormat format) {
  const ops::TakeAttributes attributes = exchange(order);
  const Shape shape = ops::take_output_shape(x.shape(), attributes);
  Tensor y = Tensor::empty(shape, {.dtype = x.dtype(), .format = format}),
         dx = Tensor::empty_like(x);
  const ops::TakeKernels& kernels = kernels_for<ops::TakeKernels>(x);
  kernels.forward(context, {x, attributes, y});
  if (is_floating(x.dtype()))
    kernels.backward(context, {y, attributes, dx});
  else
    dx = x;  // integers have no gradient
  return {y, dx};
}

void expect_every_order(const Shape& shape, DType dtype, MemoryFormat from, MemoryFormat to) {
  const Tensor x = random(shape, 1, from).to(dtype);
  std::vector<int> order;
  for (int i = 0; i < shape.rank(); ++i) order.push_back(i);
  ExecContext reference = only("reference"), one = only("cpu_permute"),
              four = only("cpu_permute", 4);
  do {
    const auto expected = exchanged(reference, x, order, to);
    for (ExecContext* context : {&one, &four}) {
      const auto actual = exchanged(*context, x, order, to);
      EXPECT_TRUE(same_bits(actual.first, expected.first)) << str(shape, " ", name_of(dtype));
      EXPECT_TRUE(same_bits(actual.second, x)) << str(shape, " ", name_of(dtype));
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Permute, MovesTheReferencesElements) {
  const auto rows = MemoryFormat::contiguous, nhwc = MemoryFormat::channels_last;
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::i32, DType::u8}) {
    expect_every_order({67, 45}, dtype, rows, rows);
    expect_every_order({3, 37, 70}, dtype, rows, rows);
    expect_every_order({2, 5, 33, 8}, dtype, rows, rows);
    expect_every_order({2, 1, 3, 1, 5}, dtype, rows, rows);
    expect_every_order({2, 35, 6, 7}, dtype, nhwc, nhwc);
    expect_every_order({2, 35, 6, 7}, dtype, nhwc, rows);
    expect_every_order({2, 35, 6, 7}, dtype, rows, nhwc);
    expect_every_order({1, 1, 1, 1}, dtype, rows, rows);
  }
  expect_every_order({1, 200, 300}, DType::f32, rows, rows);  // several bands
}

TEST(Permute, LeavesTheRestToOthers) {
  const Tensor x = random({3, 4}, 1);
  ExecContext engine = only("cpu_permute");
  ops::TakeAttributes attributes;
  attributes.axes = {{0, false, {2, 1, 0}, 1}, {1, true, {}, 1}};
  Tensor y = Tensor::empty({3, 4});
  EXPECT_FALSE(kernels_for<ops::TakeKernels>(x).forward.try_run(engine, {x, attributes, y}));
}

}  // namespace
}  // namespace graft
