// The engine's vectorised maths against libm in double: floats of the whole range, special values,
// and that an element's bits depend on neither its place nor the threads.
#include <bit>
#include <functional>
#include <limits>
#include <numbers>

#include "graft/kernels/ops/unary.h"
#include "graft/tests/kernels/cpu_support.h"

namespace graft {
namespace {

using namespace cpu_tests;
using ops::Unary;
using ops::UnaryAttributes;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct MapCase {
  const char* name;
  UnaryAttributes attributes;
  std::function<double(double)> exact;
  double ulps;      // allowed of the result, or of
  double near = 0;  // this magnitude where the result is smaller
};

double logistic(double v) { return 1 / (1 + std::exp(-v)); }
double gelu_argument(double v) {
  return std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v);
}

// GELU loses digits where 1 + erf cancels, as it does in PyTorch and onnxruntime: the bound is one
// of the argument's size there.
std::vector<MapCase> map_cases() {
  const double least = std::numeric_limits<float>::min();
  return {
      {"exp", {Unary::exp}, [](double v) { return std::exp(v); }, 1},
      {"sigmoid", {Unary::sigmoid}, logistic, 2.5, least},
      {"tanh", {Unary::tanh}, [](double v) { return std::tanh(v); }, 1.5},
      {"erf", {Unary::erf}, [](double v) { return std::erf(v); }, 1.25},
      {"elu", {Unary::elu, 1.0}, [](double v) { return v < 0 ? std::expm1(v) : v; }, 1.5},
      {"silu", {Unary::silu, 1.0}, [](double v) { return v * logistic(v); }, 3.5, 90 * least},
      {"gelu",
       {Unary::gelu},
       [](double v) { return v * 0.5 * std::erfc(-v / std::numbers::sqrt2); },
       4,
       1},
      {"gelu_tanh",
       {Unary::gelu_tanh},
       [](double v) { return 0.5 * v * (1 + std::tanh(gelu_argument(v))); },
       4,
       1},
      {"hard_swish",
       {Unary::hard_swish},
       [](double v) { return v * std::max(0.0, std::min(1.0, v / 6 + 0.5)); },
       4,
       1},
      {"hard_sigmoid",
       {Unary::hard_sigmoid, 0.25, 0.5},
       [](double v) { return std::max(0.0, std::min(1.0, 0.25 * v + 0.5)); },
       2,
       1},
      {"leaky_relu", {Unary::leaky_relu, 0.125}, [](double v) { return v < 0 ? 0.125 * v : v; }, 1},
      {"clip", {Unary::clip, -1, 4}, [](double v) { return std::min(std::max(v, -1.0), 4.0); }, 0},
      {"neg", {Unary::neg}, [](double v) { return -v; }, 0},
      {"abs", {Unary::abs}, [](double v) { return std::abs(v); }, 0},
      {"reciprocal", {Unary::reciprocal}, [](double v) { return 1 / v; }, 1}};
}

// Every 65,537th float: all exponents, denormals and both signs; and what is special.
Tensor floats_of_the_whole_range() {
  std::vector<float> values{0.0F,        -0.0F,     0.625F,    -0.625F,    0.927734375F,
                            0.92773443F, 88.72283F, 88.72284F, -87.33655F, -103.97208F,
                            -104.0F,     3.4e38F,   -3.4e38F};
  for (uint64_t bits = 1; bits < 0x100000000U; bits += 65537) {
    const auto v = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (std::isfinite(v)) values.push_back(v);
  }
  for (int i = -4000; i <= 4000; ++i) values.push_back(static_cast<float>(i) * 0.00371F);
  Tensor t = Tensor::empty({static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), t.mutable_data<float>());
  return t;
}

Tensor mapped(ExecContext& context, const Tensor& x, const UnaryAttributes& attributes) {
  Tensor y = Tensor::empty_like(x);
  kernels_for<ops::UnaryKernels>(x).forward(context, {x, attributes, y});
  return y;
}

double unit_in_last_place(double v) {
  const double size = std::max(std::abs(v), double{std::numeric_limits<float>::min()});
  return std::exp2(std::floor(std::log2(size)) - 23);
}

TEST(VectorMaths, IsWithinItsBoundOverTheWholeRange) {
  const Tensor x = floats_of_the_whole_range();
  const float* in = x.data<float>();
  for (const InstructionSet set : instruction_sets())
    for (const MapCase& c : map_cases()) {
      ExecContext context = only("cpu", 1, set);
      const Tensor y = mapped(context, x, c.attributes);
      const float* out = y.data<float>();
      double worst = 0, where = 0;
      for (int64_t i = 0; i < x.numel(); ++i) {
        const double exact = c.exact(double{in[i]});
        // What rounds to infinity, or overflows on the way to a result that vanishes.
        if (std::abs(exact) > double{std::numeric_limits<float>::max()}) {
          EXPECT_EQ(std::abs(out[i]), kInfinity) << c.name << "(" << in[i] << ")";
          continue;
        }
        const double error = std::abs(double{out[i]} - exact) /
                             unit_in_last_place(std::max(std::abs(exact), c.near));
        if (!(error <= worst)) worst = error, where = double{in[i]};
      }
      EXPECT_LE(worst, c.ulps) << c.name << " at " << where << ", " << name_of(set);
    }
}

TEST(VectorMaths, SpecialValuesAreThoseOfTheReference) {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  Tensor x = Tensor::empty({5}), dy = Tensor::full({5}, 1);
  const float values[] = {nan, infinity, -infinity, 0.0F, -0.0F};
  std::copy(std::begin(values), std::end(values), x.mutable_data<float>());
  for (const InstructionSet set : instruction_sets())
    for (const MapCase& c : map_cases()) {
      ExecContext engine = only("cpu", 1, set), reference = only("reference");
      const Tensor y = mapped(engine, x, c.attributes), wanted = mapped(reference, x, c.attributes);
      Tensor dx = Tensor::empty_like(x), wanted_dx = Tensor::empty_like(x);
      kernels_for<ops::UnaryKernels>(x).backward(engine, {x, y, dy, c.attributes, dx});
      kernels_for<ops::UnaryKernels>(x).backward(reference,
                                                 {x, wanted, dy, c.attributes, wanted_dx});
      for (const auto& [actual, expected] : {std::pair{y, wanted}, {dx, wanted_dx}})
        for (size_t i = 0; i < 5; ++i) {
          const double a = actual.to_doubles()[i], e = expected.to_doubles()[i];
          EXPECT_TRUE(a == e || (a != a && e != e) || std::abs(a - e) < 1e-6)
              << c.name << " of " << values[i] << ": " << a << ", reference " << e << ", "
              << name_of(set);
        }
    }
}

// Tails of every length, at every offset from a register's alignment, on 1, 2 and 4 threads.
TEST(VectorMaths, BitsDependOnTheElementAlone) {
  const Tensor all = random({70000}, 7);
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const InstructionSet set : instruction_sets())
      for (const MapCase& c : map_cases()) {
        const Tensor x = dtype == DType::f32 ? all : random({70000}, 7, {}, dtype);
        ExecContext one = only("cpu", 1, set);
        const std::vector<double> whole = mapped(one, x, c.attributes).to_doubles();
        for (const int threads : {2, 4}) {
          ExecContext many = only("cpu", threads, set);
          EXPECT_EQ(mapped(many, x, c.attributes).to_doubles(), whole) << c.name;
        }
        for (int64_t count = 1; count < 36; count += 3) {
          const auto first = static_cast<size_t>(count * 5);
          const std::vector<double> y =
              mapped(one, x.narrow_batch(count * 5, count), c.attributes).to_doubles();
          for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], whole[first + i]) << c.name;
        }
      }
}

TEST(VectorMaths, GradientsAgreeWithTheReference) {
  for (const auto& [dtype, allowed] : {std::pair{DType::f32, 2e-6}, {DType::bf16, 0.01}})
    for (const InstructionSet set : instruction_sets())
      for (const MapCase& c : map_cases()) {
        const Tensor x = random({1003}, 1, {}, dtype), dy = random({1003}, 2, {}, dtype);
        ExecContext engine = only("cpu", 2, set), reference = only("reference");
        const Tensor y = mapped(reference, x, c.attributes);
        Tensor dx = Tensor::empty_like(x), wanted = Tensor::empty_like(x);
        kernels_for<ops::UnaryKernels>(x).backward(engine, {x, y, dy, c.attributes, dx});
        kernels_for<ops::UnaryKernels>(x).backward(reference, {x, y, dy, c.attributes, wanted});
        EXPECT_LT(relative_error(dx, wanted), allowed) << c.name << " " << name_of(set);
      }
}

}  // namespace
}  // namespace graft
