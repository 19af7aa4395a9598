// The element-wise CUDA kernels.
#include "graft/layers/functional/elementwise.h"

#include <gtest/gtest.h>

#include "graft/core/autograd/backward.h"
#include "graft/kernels/cuda/custom/broadcast.h"
#include "graft/kernels/cuda/device/function_math.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

using test::activation;
using test::OpCase;

std::vector<OpCase> unary_cases() {
  std::vector<OpCase> cases;
  for (int f = 0; f <= static_cast<int>(ops::Unary::mish); ++f) {
    const auto function = static_cast<ops::Unary>(f);
    if (!cuda::has_unary(function)) continue;
    using ops::Unary;
    const bool positive =
        function == Unary::log || function == Unary::sqrt || function == Unary::reciprocal;
    const bool within_one =
                   function == Unary::asin || function == Unary::acos || function == Unary::atanh,
               from_one = function == Unary::acosh;
    const double low = positive                 ? 0.3
                       : within_one             ? -0.9
                       : from_one               ? 1.2
                       : function == Unary::tan ? -1.2
                                                : -3;
    const double high = within_one ? 0.9 : function == Unary::tan ? 1.2 : 3;
    cases.push_back({str("function_", f),
                     {activation({3, 7}, low, high)},
                     [function](std::span<const Tensor> in) {
                       return std::vector<Tensor>{functional::unary(in[0], {function, 0.7, 0.9})};
                     }});
  }
  // Whole groups and a rest; more than one block; an image.
  for (const Shape& shape : {Shape{1}, Shape{8}, Shape{2051}, Shape{2, 3, 4, 5}})
    cases.push_back(
        {str("relu_of_", shape.numel()), {activation(shape)}, [](std::span<const Tensor> in) {
           return std::vector<Tensor>{functional::relu(in[0])};
         }});
  return cases;
}

OpCase binary_case(std::string name, const Shape& a, const Shape& b, ops::Binary function,
                   bool gradients = true) {
  OpCase op{std::move(name),
            {activation(a, 0.4, 2), activation(b, 0.5, 2.5)},
            [function](std::span<const Tensor> in) {
              return std::vector<Tensor>{functional::binary(in[0], in[1], function)};
            }};
  if (!gradients) op.inputs[0].gradient = op.inputs[1].gradient = false;
  return op;
}

std::vector<OpCase> binary_cases() {
  using ops::Binary;
  std::vector<OpCase> cases;
  for (const Binary f : {Binary::add, Binary::sub, Binary::mul, Binary::div, Binary::pow,
                         Binary::mod, Binary::fmod, Binary::min, Binary::max, Binary::prelu})
    cases.push_back(binary_case(str("function_", static_cast<int>(f)), {5, 9}, {5, 9}, f));
  cases.push_back(binary_case("images", {2, 3, 4, 5}, {2, 3, 4, 5}, Binary::mul));
  cases.push_back(binary_case("by_a_number", {2, 3, 4, 5}, {1}, Binary::mul));
  cases.push_back(binary_case("by_channel", {2, 3, 4, 5}, {1, 3, 1, 1}, Binary::add));
  cases.push_back(binary_case("by_channel_scaled", {2, 40, 3, 3}, {1, 40, 1, 1}, Binary::mul));
  cases.push_back(binary_case("by_pixel", {2, 3, 4, 5}, {2, 1, 4, 5}, Binary::div));
  cases.push_back(binary_case("both_stretched", {3, 1}, {1, 4}, Binary::sub));
  cases.push_back(binary_case("long_sums", {2, 5000}, {2, 1}, Binary::mul));
  cases.push_back(binary_case("first_is_small", {4}, {3, 2, 4}, Binary::pow));
  return cases;
}

// A part of a batch need not start at 16 bytes: element by element, then, and the same numbers.
TEST(CudaElementwise, TakesPartsOfABatch) {
  test::TestDevice opened;
  const Tensor x = test::distinct_values({4, 5}, -1, 1, 1).to(DType::f32),
               part = x.narrow_batch(1, 2);
  const Tensor y = functional::relu(to_device(x, test::kCuda).narrow_batch(1, 2));
  EXPECT_EQ(y.to_doubles(), functional::relu(part).to_doubles());
}

TEST(CudaElementwise, DeclinesWhatItHasNoKernelFor) {
  test::TestDevice opened;
  const Tensor x = Tensor::zeros({3}, {.dtype = DType::f64, .device = test::kCuda});
  try {
    functional::relu(x);
    FAIL();
  } catch (const Error& error) {
    const std::string what = error.what();  // the shapes, and each kernel's reason
    EXPECT_EQ(what.find("unary forward: no kernel takes these arguments (x [3]): "), 0u) << what;
    EXPECT_NE(what.find(" declines: "), std::string::npos) << what;
  }
}

// Every element of the result finds the elements that NumPy's rule names; both memory orders.
TEST(CudaElementwise, BroadcastFindsEveryElement) {
  const Shape shape{2, 3, 2, 4};
  const Shape inputs[] = {{2, 3, 2, 4}, {3, 1, 4}, {1, 3, 1, 1}, {4}, {2, 1, 2, 1}};
  for (const auto format : {MemoryFormat::contiguous, MemoryFormat::channels_last})
    for (const Shape& a : inputs)
      for (const Shape& b : inputs) {
        const Tensor ta = Tensor::empty(a, {.format = format}),
                     tb = Tensor::empty(b, {.format = format}),
                     y = Tensor::empty(shape, {.format = format});
        const auto walk = cuda::Broadcast<2>::of({&ta, &tb}, y);
        for (int64_t i = 0; i < y.numel(); ++i) {
          const cuda::Offsets<2> found = walk.offsets(i);
          const bool last = format == MemoryFormat::channels_last;  // the coordinates of element i
          const int64_t c = last ? i % 3 : i / 8 % 3, h = last ? i / 12 % 2 : i / 4 % 2,
                        w = last ? i / 3 % 4 : i % 4, n = i / 24;
          const auto expected = [&](const Tensor& t) {
            const int64_t place[] = {n, c, h, w};
            int64_t offset = 0;
            const bool own_last = t.format() == MemoryFormat::channels_last;
            const int order[] = {0, own_last ? 2 : 1, own_last ? 3 : 2, own_last ? 1 : 3};
            for (const int axis : order) {
              const int own = axis - (4 - t.rank());
              if (own >= 0)
                offset = offset * t.shape()[own] + (t.shape()[own] == 1 ? 0 : place[axis]);
            }
            return offset;
          };
          ASSERT_EQ(found.at[0], expected(ta)) << a.to_string() << " element " << i;
          ASSERT_EQ(found.at[1], expected(tb)) << b.to_string() << " element " << i;
        }
      }
}

// Between floating types, forward and back.
TEST(CudaCast, IsTheCpus) {
  test::TestDevice opened;
  const DType types[] = {DType::f32, DType::bf16, DType::f16};
  for (const DType from : types)
    for (const DType to : types) {
      const Tensor host = test::distinct_values({3, 7}, -4, 4, 9).to(from),
                   device = to_device(host, test::kCuda);
      set_requires_grad(device, true);
      const Tensor y = functional::cast(device, to);
      EXPECT_EQ(y.device(), test::kCuda);
      EXPECT_EQ(y.to_doubles(), functional::cast(host, to).to_doubles())
          << name_of(from) << " to " << name_of(to);
      if (from == to) continue;
      const Tensor dy = test::distinct_values({3, 7}, -1, 1, 10).to(to);
      backward(y, to_device(dy, test::kCuda));
      EXPECT_EQ(grad_of(device).to_doubles(), dy.to(from).to_doubles());
    }
}

// What a stretched input sums over, with what it keeps, is every element of the result once.
TEST(CudaElementwise, StretchedAxesCoverTheResult) {
  const Shape shape{2, 3, 2, 4};
  for (const auto format : {MemoryFormat::contiguous, MemoryFormat::channels_last})
    for (const Shape& s : {Shape{2, 3, 2, 4}, Shape{3, 1, 4}, Shape{1, 3, 1, 1}, Shape{4},
                           Shape{2, 1, 2, 1}, Shape{}}) {
      const Tensor to = Tensor::empty(s, {.format = format}),
                   y = Tensor::empty(shape, {.format = format});
      const auto axes = cuda::StretchedAxes<2>::of(to, {&y, &to}, y);
      ASSERT_EQ(axes.kept.count, to.numel());
      std::vector<int> seen(static_cast<size_t>(y.numel()));
      for (int64_t i = 0; i < axes.kept.count; ++i)
        for (int64_t j = 0; j < axes.summed.count; ++j) {
          const auto base = axes.kept.offsets(i), more = axes.summed.offsets(j);
          ASSERT_EQ(base.at[1] + more.at[1], i);
          ++seen[static_cast<size_t>(base.at[0] + more.at[0])];
        }
      EXPECT_EQ(seen, std::vector<int>(seen.size(), 1)) << s.to_string();
    }
}

// A number of the host's goes to where the values are, from either side; one whose gradient is
// wanted does not.
TEST(CudaBinary, TakesNumbersOfTheHosts) {
  test::TestDevice opened;
  const Tensor x = to_device(Tensor::of<float>({3}, {1, 2, 4}), test::kCuda),
               number = Tensor::scalar(2);
  EXPECT_EQ(functional::div(x, number).to_doubles(), (std::vector<double>{0.5, 1, 2}));
  EXPECT_EQ(functional::div(number, x).to_doubles(), (std::vector<double>{2, 1, 0.5}));
  set_requires_grad(number, true);
  EXPECT_THROW(functional::mul(x, number), Error);
}

}  // namespace

GRAFT_DEVICE_CASES(Unary, unary_cases());
GRAFT_DEVICE_CASES(Binary, binary_cases());

}  // namespace graft
