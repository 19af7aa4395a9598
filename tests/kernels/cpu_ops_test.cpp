// The engine's linear, batch norm, pooling and element-wise kernels against the reference, on every
// instruction set here; and that bits depend on neither the threads nor (where no statistics are
// taken) the batch.
#include <functional>

#include "graft/kernels/ops/batch_norm.h"
#include "graft/kernels/ops/binary.h"
#include "graft/kernels/ops/linear.h"
#include "graft/kernels/ops/pool.h"
#include "graft/kernels/ops/unary.h"
#include "graft/tests/kernels/cpu_support.h"
#include "graft/tests/support/full_size.h"

namespace graft {
namespace {

using namespace cpu_tests;
using Outputs = std::vector<Tensor>;

constexpr auto nhwc = MemoryFormat::channels_last;

// Runs `call` with the reference alone, then with the engine alone on every set and several thread
// counts.
void compare(const std::string& what, const char* kernel, DType dtype,
             const std::function<Outputs(ExecContext&)>& call) {
  ExecContext reference = only("reference", 2);
  const Outputs expected = call(reference);
  for (const InstructionSet set : instruction_sets()) {
    ExecContext one = only(kernel, 1, set);
    const Outputs actual = call(one);
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_LT(relative_error(actual[i], expected[i]), tolerance(dtype))
          << what << " output " << i << " " << name_of(set);
    for (const int threads : {2, 4}) {
      ExecContext many = only(kernel, threads, set);
      const Outputs again = call(many);
      for (size_t i = 0; i < expected.size(); ++i)
        EXPECT_EQ(again[i].to_doubles(), actual[i].to_doubles())
            << what << " output " << i << " " << threads << " threads";
    }
  }
}

TEST(CpuOps, Linear) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const auto& [rows, in, out] :
         {std::array<int64_t, 3>{1, 1, 1}, {1, 2048, 37}, {5, 17, 10}, {33, 100, 66}, {8, 3, 5}}) {
      const Tensor x = random({rows, in}, 1, {}, dtype), weight = random({out, in}, 2, {}, dtype);
      const Tensor bias = random({out}, 3, {}, dtype), dy = random({rows, out}, 4, {}, dtype);
      compare("linear", "cpu", dtype, [&](ExecContext& context) {
        const ops::LinearKernels& kernels = kernels_for<ops::LinearKernels>(x);
        Tensor y = Tensor::empty_like(dy), dx = Tensor::empty_like(x),
               dweight = Tensor::empty_like(weight);
        Tensor dbias = Tensor::empty_like(bias);
        kernels.forward(context, {x, weight, &bias, y});
        kernels.backward_data(context, {dy, weight, dx});
        kernels.backward_weight(context, {x, dy, &dweight, &dbias});
        return Outputs{y, dx, dweight, dbias};
      });
    }
}

TEST(CpuOps, LinearRowsDoNotDependOnTheBatch) {
  const Tensor x = random({11, 333}, 1), weight = random({41, 333}, 2);
  for (const InstructionSet set : instruction_sets()) {
    ExecContext context = only("cpu", 1, set);
    Tensor all = Tensor::empty({11, 41}), alone = Tensor::empty({1, 41});
    kernels_for<ops::LinearKernels>(x).forward(context, {x, weight, nullptr, all});
    kernels_for<ops::LinearKernels>(x).forward(context,
                                               {x.narrow_batch(7, 1), weight, nullptr, alone});
    EXPECT_EQ(alone.to_doubles(), all.narrow_batch(7, 1).to_doubles());
  }
}

TEST(CpuOps, BatchNorm) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{2, 1, 3, 3}, Shape{3, 5, 7, 4}, Shape{2, 64, 9, 9},
                               Shape{1, 130, 5, 1}, Shape{4, 3, 90, 97}, Shape{1, 64, 257, 257}})
      for (int mode = 0; mode < 8; ++mode) {
        const bool large = shape.numel() > 1'000'000;  // its results are streamed
        if (large && (dtype == DType::f64 || (mode != 3 && mode != 7) || !test::full_size()))
          continue;
        const ops::BatchNormAttributes attributes{
            .eps = 1e-5, .training = (mode & 1) != 0, .relu = (mode & 2) != 0};
        const bool with_residual = mode & 4;
        const int64_t channels = shape[1];
        const Tensor x = random(shape, 1, nhwc, dtype), residual = random(shape, 2, nhwc, dtype),
                     dy = random(shape, 3, nhwc, dtype);
        const Tensor weight = random({channels}, 4, {}, dtype),
                     bias = random({channels}, 5, {}, dtype);
        const std::string what =
            "batch norm " + shape.to_string() + " mode " + std::to_string(mode);
        Tensor mean = Tensor::empty({channels}, {.dtype = dtype}),
               variance = Tensor::empty_like(mean), y = Tensor::empty_like(x);
        const ops::BatchNormKernels& kernels = kernels_for<ops::BatchNormKernels>(x);
        ExecContext reference = only("reference");
        kernels.statistics(reference, {x, mean, variance});
        kernels.apply(reference, {x, mean, variance, &weight, &bias,
                                  with_residual ? &residual : nullptr, attributes, y});
        compare(what, "cpu_nhwc", dtype, [&](ExecContext& context) {
          Outputs out{Tensor::empty_like(mean), Tensor::empty_like(mean), Tensor::empty_like(x),
                      Tensor::empty_like(x),    Tensor::empty_like(x),    Tensor::empty_like(mean),
                      Tensor::empty_like(mean)};
          kernels.statistics(context, {x, out[0], out[1]});
          kernels.apply(context, {x, mean, variance, &weight, &bias,
                                  with_residual ? &residual : nullptr, attributes, out[2]});
          kernels.backward(context, {x, &y, &bias, with_residual, dy, mean, variance, &weight,
                                     attributes, &out[3], &out[4], &out[5], &out[6]});
          return out;
        });
      }
}

TEST(CpuOps, BatchNormOfAFarMean) {  // the variance of large values with a small spread
  const Tensor x = Tensor::empty({2, 3, 40, 40}, {.format = nhwc});
  Tensor writable = x;
  float* values = writable.mutable_data<float>();
  for (int64_t i = 0; i < x.numel(); ++i) values[i] = 1000 + static_cast<float>(i % 7);
  ExecContext context = only("cpu_nhwc", 2);
  Tensor mean = Tensor::empty({3}), variance = Tensor::empty({3});
  kernels_for<ops::BatchNormKernels>(x).statistics(context, {x, mean, variance});
  for (const double m : mean.to_doubles()) EXPECT_NEAR(m, 1003, 0.01);
  for (const double v : variance.to_doubles()) EXPECT_NEAR(v, 4, 0.01);
}

struct PoolCase {
  Shape x;
  ops::Window window;
  bool ceil_mode;
};

std::vector<PoolCase> pool_cases() {
  ops::Window odd = ops::square_window(3, 2, 1);
  odd.kernel[1] = 2, odd.pad_begin[1] = 0, odd.stride[0] = 3;
  return {{{1, 1, 5, 5}, ops::square_window(2, 2), false},
          {{2, 64, 12, 11}, ops::square_window(3, 2, 1), false},
          {{2, 17, 9, 8}, ops::square_window(3, 2, 1), true},
          {{1, 300, 7, 6}, ops::square_window(3, 1, 1, 2), false},
          {{3, 5, 10, 9}, odd, true}};
}

TEST(CpuOps, MaxPool) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const PoolCase& c : pool_cases()) {
      const ops::MaxPoolAttributes attributes{c.window, c.ceil_mode};
      Tensor x = random(c.x, 1, nhwc, dtype);
      const Shape out = ops::pool_output_shape("max_pool", c.x, c.window, c.ceil_mode);
      const Tensor dy = random(out, 2, nhwc, dtype);
      compare("max pool", "cpu_nhwc", dtype, [&](ExecContext& context) {
        Tensor y = Tensor::empty_like(dy), same = Tensor::empty_like(dy),
               dx = Tensor::empty_like(x);
        Tensor indices = Tensor::empty(out, {.dtype = DType::i32, .format = nhwc});
        kernels_for<ops::PoolKernels>(x).max_forward(context, {x, attributes, y, &indices});
        kernels_for<ops::PoolKernels>(x).max_forward(context, {x, attributes, same, nullptr});
        kernels_for<ops::PoolKernels>(x).max_backward(context, {dy, indices, attributes, dx});
        EXPECT_EQ(y.to_doubles(), same.to_doubles());
        return Outputs{y, indices, dx};
      });
    }
}

TEST(CpuOps, AveragePools) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const PoolCase& c : pool_cases()) {
      const Tensor x = random(c.x, 1, nhwc, dtype);
      const ops::PoolKernels& kernels = kernels_for<ops::PoolKernels>(x);
      for (const bool count : {false, true}) {
        const ops::AveragePoolAttributes attributes{c.window, c.ceil_mode, count};
        const Tensor dy = random(ops::pool_output_shape("average_pool", c.x, c.window, c.ceil_mode),
                                 2, nhwc, dtype);
        compare("average pool", "cpu_nhwc", dtype, [&](ExecContext& context) {
          Tensor y = Tensor::empty_like(dy), dx = Tensor::empty_like(x);
          kernels.average_forward(context, {x, attributes, y});
          kernels.average_backward(context, {dy, attributes, dx});
          return Outputs{y, dx};
        });
      }
      for (const int64_t size : {1, 3, 6}) {
        const ops::AdaptiveAveragePoolAttributes attributes{{size, size + 1, 1}};
        const Tensor dy = random(ops::adaptive_pool_output_shape(c.x, attributes), 2, nhwc, dtype);
        compare("adaptive pool", "cpu_nhwc", dtype, [&](ExecContext& context) {
          Tensor y = Tensor::empty_like(dy), dx = Tensor::empty_like(x);
          kernels.adaptive_forward(context, {x, attributes, y});
          kernels.adaptive_backward(context, {dy, attributes, dx});
          return Outputs{y, dx};
        });
      }
    }
}

TEST(CpuOps, NotANumberPassesThrough) {
  Tensor x = random({1, 20, 4, 4}, 1, nhwc);
  x.mutable_data<float>()[37] = NAN;
  const Tensor mean = Tensor::zeros({20}), variance = Tensor::full({20}, 1);
  for (const InstructionSet set : instruction_sets()) {
    ExecContext context(1, set);
    Tensor y = Tensor::empty_like(x);
    kernels_for<ops::UnaryKernels>(x).forward(context, {x, {ops::Unary::relu6}, y});
    EXPECT_TRUE(std::isnan(y.data<float>()[37]));
    kernels_for<ops::BatchNormKernels>(x).apply(
        context, {x, mean, variance, nullptr, nullptr, &x, {.relu = true}, y});
    EXPECT_TRUE(std::isnan(y.data<float>()[37]));
    Tensor pooled = Tensor::empty({1, 20, 2, 2}, {.format = nhwc});
    kernels_for<ops::PoolKernels>(x).max_forward(context,
                                                 {x, {ops::square_window(2, 2)}, pooled, nullptr});
    EXPECT_TRUE(std::isnan(pooled.data<float>()[17]));
  }
}

TEST(CpuOps, Elementwise) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{1}, Shape{3, 7, 5, 5}, Shape{70001}}) {
      const Tensor a = random(shape, 1, nhwc, dtype), b = random(shape, 2, nhwc, dtype);
      for (const auto function : {ops::Unary::relu, ops::Unary::relu6})
        compare("unary", "cpu", dtype, [&](ExecContext& context) {
          Tensor y = Tensor::empty_like(a), dx = Tensor::empty_like(a);
          kernels_for<ops::UnaryKernels>(a).forward(context, {a, {function}, y});
          kernels_for<ops::UnaryKernels>(a).backward(context, {a, y, b, {function}, dx});
          return Outputs{y, dx};
        });
      for (const auto function :
           {ops::Binary::add, ops::Binary::sub, ops::Binary::mul, ops::Binary::div})
        compare("binary", "cpu", dtype, [&](ExecContext& context) {
          Tensor y = Tensor::empty_like(a);
          Tensor left = Tensor::empty_like(a), right = Tensor::empty_like(a);
          const Tensor one = random({1}, 3, {}, dtype);
          kernels_for<ops::BinaryKernels>(a).forward(context, {a, b, {function}, y});
          kernels_for<ops::BinaryKernels>(a).forward(context, {one, b, {function}, left});
          kernels_for<ops::BinaryKernels>(a).forward(context, {a, one, {function}, right});
          return Outputs{y, left, right};
        });
    }
}

// One input is stretched: a gate a channel and sample, a row for all pixels, a mask, in either
// memory order.
TEST(CpuOps, StretchedArithmetic) {
  const Shape full{3, 37, 31, 30};
  for (const DType dtype : {DType::f32, DType::f64})
    for (const MemoryFormat format : {nhwc, MemoryFormat::contiguous})
      for (const Shape& part : {Shape{3, 37, 1, 1}, Shape{1, 37, 1, 1}, Shape{3, 1, 31, 30}}) {
        if (format == MemoryFormat::contiguous && part[0] == 1) continue;  // in two places
        const Tensor x = random(full, 1, format, dtype), gate = random(part, 2, format, dtype),
                     dy = random(full, 3, format, dtype);
        for (const auto function : {ops::Binary::add, ops::Binary::sub, ops::Binary::mul})
          compare("stretched " + part.to_string(), "cpu", dtype, [&](ExecContext& context) {
            Tensor y = Tensor::empty_like(x), left = Tensor::empty_like(x),
                   dx = Tensor::empty_like(x), dgate = Tensor::empty_like(gate);
            const ops::BinaryKernels& kernels = kernels_for<ops::BinaryKernels>(x);
            kernels.forward(context, {x, gate, {function}, y});
            kernels.forward(context, {gate, x, {function}, left});
            kernels.backward(context, {x, gate, dy, {function}, &dx, &dgate});
            return Outputs{y, left, dx, dgate};
          });
      }
}

}  // namespace
}  // namespace graft
