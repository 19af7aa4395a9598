// Batch norm's CUDA kernels on the device.
#include <gtest/gtest.h>

#include <algorithm>

#include "graft/kernels/cuda/custom/column_sums.h"
#include "graft/kernels/ops/batch_norm.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/batch_norm.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

using test::activation;
using test::fixed;
using test::OpCase;
using test::OpInput;
using test::parameter;

struct Variant {
  bool training = true, affine = true, residual = false, relu = false;
  double low = -2, high = 3;
};

OpCase norm_case(std::string name, const Shape& shape, const Variant& v) {
  const Shape channels{shape[1]};
  std::vector<OpInput> inputs{activation(shape, v.low, v.high), fixed(parameter(channels)),
                              fixed(parameter(channels, 0.2, 2))};
  if (v.affine) inputs.insert(inputs.end(), {parameter(channels, -1.5, 2), parameter(channels)});
  if (v.residual) inputs.push_back(activation(shape));
  OpCase op{std::move(name), std::move(inputs), [v](std::span<const Tensor> in) {
              const Tensor mean = in[1].clone(), variance = in[2].clone();
              const Tensor y = functional::batch_norm(
                  in[0], v.affine ? in[3] : Tensor(), v.affine ? in[4] : Tensor(), mean, variance,
                  {v.training, 0.1, 1e-5, v.relu}, v.residual ? in.back() : Tensor());
              return std::vector<Tensor>{y, mean, variance};
            }};
  op.f32_tolerance = 5e-5;
  return op;
}

std::vector<OpCase> cases() {
  OpCase far = norm_case("mean_far_from_zero", {4, 8, 5, 5}, {.low = 999, .high = 1001});
  far.f32_tolerance = 1e-3;  // x itself has 6e-5 in float32
  far.forward_dtypes = {};   // and nothing of the spread in 16 bits
  return {
      norm_case("training", {3, 4, 3, 5}, {}),
      norm_case("training_relu", {2, 3, 4, 3}, {.relu = true}),
      norm_case("training_residual_relu", {2, 16, 3, 4}, {.residual = true, .relu = true}),
      norm_case("training_no_affine", {3, 8, 3, 3}, {.affine = false}),
      norm_case("training_rows", {7, 5}, {}),
      norm_case("training_many_channels", {2, 264, 3, 2}, {.relu = true}),
      norm_case("training_several_chunks", {9, 8, 24, 24}, {}),
      norm_case("evaluation", {2, 4, 3, 5}, {.training = false}),
      norm_case("evaluation_residual_relu", {2, 8, 3, 5},
                {.training = false, .residual = true, .relu = true}),
      far,
  };
}

// Each statistic alone and both, in one launch.
TEST(CudaBatchNorm, RunningStatisticsMoveAsTheCpus) {
  const Shape channels{70};
  const auto values = [&](uint64_t stream) {
    return test::distinct_values(channels, 0.1, 2, stream).to(DType::f32);
  };
  for (const int which : {1, 2, 3}) {
    const Tensor mean = values(1), variance = values(2);
    Tensor running_mean = values(3), running_variance = values(4);
    test::TestDevice opened;
    Tensor mean_there = to_device(running_mean, test::kCuda),
           variance_there = to_device(running_variance, test::kCuda);
    const auto part = [&](int bit, Tensor& t) { return which & bit ? &t : nullptr; };
    kernels_for<ops::BatchNormKernels>(Device{}).running(
        current_context(),
        {mean, variance, part(1, running_mean), part(2, running_variance), 0.1, 5});
    kernels_for<ops::BatchNormKernels>(test::kCuda)
        .running(current_context(), {to_device(mean, test::kCuda), to_device(variance, test::kCuda),
                                     part(1, mean_there), part(2, variance_there), 0.1, 5});
    EXPECT_LE(test::relative_error(mean_there.to_doubles(), running_mean.to_doubles()), 1e-6)
        << which;
    EXPECT_LE(test::relative_error(variance_there.to_doubles(), running_variance.to_doubles()),
              1e-6)
        << which;
    EXPECT_EQ(running_mean.to_doubles() == values(3).to_doubles(), which == 2);
    EXPECT_EQ(running_variance.to_doubles() == values(4).to_doubles(), which == 1);
  }
}

// Without a residual the ReLU's mask follows from x: the same gradients, to the bit, with and
// without the result.
TEST(CudaBatchNorm, MasksFromXAsFromY) {
  test::TestDevice opened;
  const auto put = [](const Shape& shape, uint64_t stream) {
    return to_device(test::distinct_values(shape, -1, 1.5, stream)
                         .to(DType::f32)
                         .to(MemoryFormat::channels_last),
                     test::kCuda);
  };
  const Shape image{2, 6, 3, 3}, channels{6};
  const Tensor x = put(image, 1), dy = put(image, 2), weight = put(channels, 3),
               bias = put(channels, 4);
  Tensor mean = Tensor::empty_like(weight), variance = Tensor::empty_like(weight),
         y = Tensor::empty_like(x);
  const ops::BatchNormAttributes attributes{1e-5, true, true};
  const ops::BatchNormKernels& kernels = kernels_for<ops::BatchNormKernels>(x);
  kernels.statistics(current_context(), {x, mean, variance});
  kernels.apply(current_context(), {x, mean, variance, &weight, &bias, nullptr, attributes, y});
  std::vector<std::vector<double>> results;
  for (const Tensor* given :
       {static_cast<const Tensor*>(&y), static_cast<const Tensor*>(nullptr)}) {
    Tensor dx = Tensor::empty_like(x), dweight = Tensor::empty_like(weight),
           dbias = Tensor::empty_like(weight);
    kernels.backward(current_context(), {x, given, &bias, false, dy, mean, variance, &weight,
                                         attributes, &dx, nullptr, &dweight, &dbias});
    for (const Tensor& t : {dx, dweight, dbias}) results.push_back(t.to_doubles());
  }
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(results[i], results[i + 3]) << i;
}

// Behind a residual the mask is kept in bits where it can be: the same gradients, to the bit, as
// from the result.
TEST(CudaBatchNorm, MasksFromBitsAsFromY) {
  test::TestDevice opened;
  const auto put = [](const Shape& shape, uint64_t stream, DType dtype) {
    return to_device(
        test::distinct_values(shape, -1, 1.5, stream).to(dtype).to(MemoryFormat::channels_last),
        test::kCuda);
  };
  const Shape image{2, 24, 3, 3}, channels{24};
  const ops::BatchNormKernels& kernels =
      kernels_for<ops::BatchNormKernels>(put(channels, 1, DType::f32));
  ASSERT_TRUE(kernels.keeps_mask);
  EXPECT_FALSE(kernels.keeps_mask(put(image, 1, DType::f32)));
  EXPECT_FALSE(kernels.keeps_mask(put({2, 12, 3, 3}, 1, DType::bf16)));
  for (const DType dtype : {DType::bf16, DType::f16}) {
    const Tensor x = put(image, 1, dtype), dy = put(image, 2, dtype),
                 residual = put(image, 5, dtype), weight = put(channels, 3, DType::f32);
    ASSERT_TRUE(kernels.keeps_mask(x));
    Tensor mean = Tensor::empty_like(weight), variance = Tensor::empty_like(weight),
           y = Tensor::empty_like(x);
    Tensor positive = Tensor::empty({x.numel() / 8}, {.dtype = DType::u8, .device = test::kCuda});
    const ops::BatchNormAttributes attributes{1e-5, true, true};
    kernels.statistics(current_context(), {x, mean, variance});
    kernels.apply(current_context(),
                  {x, mean, variance, &weight, nullptr, &residual, attributes, y, &positive});
    std::vector<std::vector<double>> results;
    for (const bool bits : {false, true}) {
      Tensor dx = Tensor::empty_like(x), dresidual = Tensor::empty_like(x),
             dweight = Tensor::empty_like(weight), dbias = Tensor::empty_like(weight);
      kernels.backward(current_context(),
                       {x, bits ? nullptr : &y, nullptr, true, dy, mean, variance, &weight,
                        attributes, &dx, &dresidual, &dweight, &dbias, bits ? &positive : nullptr});
      for (const Tensor& t : {dx, dresidual, dweight, dbias}) results.push_back(t.to_doubles());
    }
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(results[i], results[i + 4]) << i;
  }
}

struct PlaceOf {  // what ColumnPlace asks of a thread
  int64_t block_;
  int thread_;
  int64_t block() const { return block_; }
  int thread() const { return thread_; }
};

// Every element belongs to exactly one thread, whatever the shape, in sums and in element-wise
// kernels.
TEST(CudaColumnTiles, CoverTheMatrixOnce) {
  for (const int64_t rows : {1, 2, 63, 64, 65, 2047, 2049})
    for (const int64_t channels : {1, 2, 7, 32, 33, 264})
      for (const int group : {1, 4, 8})
        for (const bool sums : {false, true}) {
          if (channels % group != 0) continue;
          const cuda::ColumnTiles t =
              sums ? cuda::column_tiles(rows, channels, group)
                   : cuda::ColumnTiles::of(rows, channels, group, 16, int64_t{1} << 30);
          ASSERT_TRUE(!sums || t.chunks() * t.across() <= std::max<int64_t>(512, t.across()))
              << rows;
          std::vector<int> seen(static_cast<size_t>(rows * channels));
          for (int64_t block = 0; block < t.chunks() * t.across(); ++block)
            for (int thread = 0; thread < cuda::kThreads; ++thread) {
              const cuda::ColumnPlace place(PlaceOf{block, thread}, t,
                                            static_cast<uint32_t>(t.across()), group);
              if (place.channel >= channels) continue;
              for (int64_t row = place.begin + place.line; row < place.end; row += t.lines())
                for (int64_t c = place.channel; c < place.channel + group; ++c)
                  ++seen.at(static_cast<size_t>(row * channels + c));
            }
          ASSERT_EQ(std::count(seen.begin(), seen.end(), 1), rows * channels)
              << rows << " x " << channels << ", " << group;
        }
}

}  // namespace

GRAFT_DEVICE_CASES(BatchNorm, cases());

}  // namespace graft
