// Softmax and normalize along rows, vectorised: against the reference in double on every
// instruction set here; their bits depend on no threads.
#include <cmath>
#include <cstring>
#include <limits>

#include "graft/kernels/ops/normalize.h"
#include "graft/kernels/ops/softmax.h"
#include "graft/tests/kernels/cpu_support.h"

namespace graft {
namespace {

using namespace cpu_tests;

const int64_t row_sizes[] = {5, 7, 16, 33, 64, 197, 768, 1000};

// What a pass makes of x [rows,size], and of dy where it is a gradient.
struct RowResults {
  Tensor softmax, softmax_gradient, log, log_gradient, normal, scales, normal_gradient, scaled;
};
RowResults row_results(ExecContext& context, const Tensor& x, const Tensor& dy) {
  const auto softmax = [&](bool log, Tensor& y, Tensor& dx) {
    const ops::SoftmaxAttributes attributes{1, log};
    const ops::SoftmaxKernels& kernels = kernels_for<ops::SoftmaxKernels>(x);
    y = Tensor::full(x.shape(), 7, x.options()), dx = Tensor::full(x.shape(), 7, x.options());
    kernels.forward(context, {x, attributes, y});
    kernels.backward(context, {y, dy, attributes, dx});
  };
  RowResults r;
  softmax(false, r.softmax, r.softmax_gradient);
  softmax(true, r.log, r.log_gradient);
  const ops::NormalizeKernels& kernels = kernels_for<ops::NormalizeKernels>(x);
  r.scales = Tensor::empty({x.size(0)}, {.dtype = DType::f64});
  for (Tensor* t : {&r.normal, &r.normal_gradient, &r.scaled}) *t = Tensor::empty_like(x);
  kernels.forward(context, {x, {1, 1e-5, true}, r.normal, &r.scales});
  kernels.backward(context, {r.normal, r.scales, dy, {1, 1e-5, true}, r.normal_gradient});
  kernels.forward(context, {x, {1, 1e-5, false}, r.scaled, nullptr});
  return r;
}

Tensor shifted(const Tensor& t, double by) {
  std::vector<double> values = t.to_doubles();
  Tensor moved = Tensor::empty(t.shape(), {.dtype = DType::f64});
  for (size_t i = 0; i < values.size(); ++i) moved.mutable_data<double>()[i] = values[i] + by;
  return moved;
}

TEST(Rows, MatchReference) {
  ExecContext reference = only("reference", 2);
  for (const int64_t size : row_sizes)
    for (const double shift : {0.0, 100.0})
      for (const DType dtype : {DType::f32, DType::bf16}) {
        const Tensor x = shifted(random({5, size}, 1), shift).to(dtype),
                     dy = random({5, size}, 2).to(dtype);
        const RowResults expected = row_results(reference, x.to(DType::f64), dy.to(DType::f64));
        const double close = dtype == DType::bf16 ? 8e-3 : shift == 0 ? 3e-6 : 4e-5;
        for (const InstructionSet set : instruction_sets()) {
          ExecContext engine = only("cpu_rows", 2, set);
          const RowResults actual = row_results(engine, x, dy);
          const std::string what = str(size, " ", name_of(set), " ", name_of(dtype), " ", shift);
          EXPECT_LT(relative_error(actual.softmax, expected.softmax), close) << what;
          EXPECT_LT(relative_error(actual.log, expected.log), close) << what;
          EXPECT_LT(relative_error(actual.normal, expected.normal), close) << what;
          EXPECT_LT(relative_error(actual.scaled, expected.scaled), close) << what;
          EXPECT_LT(relative_error(actual.scales, expected.scales), 1e-6) << what;
          // The gradients of the rounded results, as the engine has them.
          const auto gradient = [&](const Tensor& y, bool log) {
            const Tensor wide = y.to(DType::f64);
            Tensor dx = Tensor::empty_like(wide);
            kernels_for<ops::SoftmaxKernels>(wide).backward(
                reference, {wide, dy.to(DType::f64), {1, log}, dx});
            return dx;
          };
          EXPECT_LT(relative_error(actual.softmax_gradient, gradient(actual.softmax, false)), close)
              << what;
          EXPECT_LT(relative_error(actual.log_gradient, gradient(actual.log, true)), close) << what;
          const Tensor normal = actual.normal.to(DType::f64);
          Tensor dx = Tensor::empty_like(normal);
          kernels_for<ops::NormalizeKernels>(normal).backward(
              reference, {normal, actual.scales, dy.to(DType::f64), {1, 1e-5, true}, dx});
          EXPECT_LT(relative_error(actual.normal_gradient, dx), close) << what;
        }
      }
}

// A mean beside which the deviations are small: its own rounding must not show.
TEST(Rows, SmallDeviationsFromALargeMeanSurvive) {
  constexpr int64_t size = 512;
  Tensor x = Tensor::empty({1, size});
  for (int64_t i = 0; i < size; ++i)
    x.mutable_data<float>()[i] = 1e6F + static_cast<float>(i % 4) * 0.25F;
  for (const InstructionSet set : instruction_sets()) {
    ExecContext engine = only("cpu_rows", 1, set);
    Tensor y = Tensor::empty_like(x);
    kernels_for<ops::NormalizeKernels>(x).forward(engine, {x, {1, 0.0, true}, y, nullptr});
    // (0, 1, 2, 3) / 4 have the standard deviation sqrt(5) / 8.
    for (int64_t i = 0; i < size; ++i)
      EXPECT_NEAR(y.data<float>()[i],
                  (static_cast<double>(i % 4) * 0.25 - 0.375) * 8 / std::sqrt(5.0), 1e-5)
          << name_of(set);
  }
}

TEST(Rows, MaskedAndBrokenElements) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const InstructionSet set : instruction_sets())
    for (const int64_t size : {5, 40}) {
      ExecContext engine = only("cpu_rows", 1, set);
      Tensor x = Tensor::full({3, size}, 1, TensorOptions{}), y = Tensor::empty_like(x);
      float* in = x.mutable_data<float>();
      for (int64_t i = 1; i < size; ++i) in[i] = -infinity;  // one element is left
      in[size + size - 1] = std::nanf("");                   // a row is lost
      for (int64_t i = 0; i < size; ++i) in[2 * size + i] = 1e30F;
      const ops::SoftmaxAttributes attributes{1, false};
      kernels_for<ops::SoftmaxKernels>(x).forward(engine, {x, attributes, y});
      const float* out = y.data<float>();
      for (int64_t i = 0; i < size; ++i) {
        EXPECT_EQ(out[i], i == 0 ? 1.0F : 0.0F) << name_of(set);
        EXPECT_TRUE(std::isnan(out[size + i])) << name_of(set);
        EXPECT_NEAR(out[2 * size + i], 1.0 / static_cast<double>(size), 1e-7) << name_of(set);
      }
    }
}

TEST(Rows, BitsDependOnNoThreads) {
  const auto same = [](const Tensor& a, const Tensor& b) {
    return std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
  };
  const Tensor x = random({97, 197}, 1), dy = random({97, 197}, 2);
  for (const InstructionSet set : instruction_sets()) {
    ExecContext one = only("cpu_rows", 1, set);
    const RowResults expected = row_results(one, x, dy);
    for (const int threads : {2, 4}) {
      ExecContext several = only("cpu_rows", threads, set);
      const RowResults actual = row_results(several, x, dy);
      EXPECT_TRUE(same(actual.softmax, expected.softmax) &&
                  same(actual.softmax_gradient, expected.softmax_gradient) &&
                  same(actual.log, expected.log) &&
                  same(actual.log_gradient, expected.log_gradient) &&
                  same(actual.normal, expected.normal) &&
                  same(actual.normal_gradient, expected.normal_gradient))
          << name_of(set) << ", " << threads << " threads";
    }
  }
}

}  // namespace
}  // namespace graft
