// Tensors without elements but with huge axes, and results that no memory holds: an answer or an
// Error, at once.
#include <gtest/gtest.h>

#include <functional>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/kernels/ops/reduce.h"
#include "graft/layers/functional/image.h"
#include "graft/layers/functional/indexing.h"
#include "graft/layers/functional/matrices.h"
#include "graft/layers/functional/movement.h"
#include "graft/layers/functional/normalization.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/reduction.h"

namespace graft {
namespace {

constexpr int64_t kHuge = int64_t{1} << 40;

void expect_backward(const Tensor& x, const std::function<Tensor(const Tensor&)>& function,
                     const char* what) {
  const Tensor leaf = x.detach();
  set_requires_grad(leaf, true);
  const Tensor y = function(leaf);
  EXPECT_EQ(y.numel(), 0) << what;
  backward(y, Tensor::zeros(y.shape()));
  EXPECT_EQ(grad_of(leaf).shape(), x.shape()) << what;
}

TEST(EmptyInputs, HugeAxesOfNothing) {
  using namespace functional;
  const Tensor x = Tensor::zeros({kHuge, 3, 0}), places = Tensor::of<int64_t>({2}, {0, 2});
  expect_backward(
      x, [](const Tensor& t) { return transpose(t); }, "transpose");
  expect_backward(
      x,
      [](const Tensor& t) {
        return slice(t, {{0}, {2}, {1}});
      },
      "slice");
  expect_backward(
      x, [&](const Tensor& t) { return gather(t, places, 1); }, "gather");
  expect_backward(
      x,
      [](const Tensor& t) {
        return matmul(t, Tensor::zeros({0, 0}));
      },
      "matmul");
}

TEST(EmptyInputs, MatricesWithoutRows) {
  using namespace functional;
  const Tensor x = Tensor::zeros({kHuge, 0, 3});
  expect_backward(
      x,
      [](const Tensor& t) {
        return matmul(t, Tensor::zeros({3, 2}));
      },
      "matmul");
  expect_backward(
      x,
      [](const Tensor& t) {
        return concat(std::vector<Tensor>{t, t}, 2);
      },
      "concat");
  expect_backward(
      x,
      [](const Tensor& t) {
        return resample(t, {.axis = 2, .first = {0, 1}, .positions = {2}, .weights = {1}});
      },
      "resample");
  EXPECT_EQ(topk(x, 1, 2).values.numel(), 0);
  EXPECT_EQ(topk(Tensor::zeros({0, kHuge}), 1, 1).values.numel(), 0);
  EXPECT_EQ(reduce(x, {ops::Reduce::sum, {0, 1}}).to_doubles(), std::vector<double>(3, 0.0));
}

void expect_no_memory(const std::function<void()>& call, const char* what) {
  try {
    call();
    ADD_FAILURE() << what << " has a result";
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == ErrorCode::resource || error.code() == ErrorCode::bad_input)
        << what << ": " << error.what();
  }
}

TEST(EmptyInputs, ResultsThatNoMemoryHolds) {
  using namespace functional;
  const int64_t most = int64_t{1} << 58;
  const Tensor one = Tensor::zeros({1, 1, 1, 1}), none = Tensor::zeros({0, 1});
  const std::vector<int64_t> nothing(4), repeats{1, 1, 1, most}, end{0, 0, 0, most};
  expect_no_memory([&] { tile(one, repeats); }, "tile");
  expect_no_memory(
      [&] {
        tile(none, std::vector<int64_t>{1, int64_t{1} << 62});
      },
      "tile of nothing");
  expect_no_memory([&] { pad(one, nothing, end, PadMode::edge); }, "pad");
  expect_no_memory([&] { expand(one, {1, 1, 1, most}); }, "expand");
  expect_no_memory([&] { resize(one, std::vector<ResizeAxis>{{3, most, 1}}); }, "resize");
  expect_no_memory(
      [&] { one_hot(Tensor::of<int64_t>({1}, {0}), most, Tensor::scalar(0), Tensor::scalar(1)); },
      "one_hot");
  expect_no_memory([&] { range(int64_t{0}, most, int64_t{1}, DType::i64); }, "range");
  expect_no_memory([&] { eye(most, 1, 0, DType::u8); }, "eye");
  const Tensor box = Tensor::of<float>({1, 4}, {0, 0, 1, 1}), image = Tensor::of<int64_t>({1}, {0});
  expect_no_memory([&] { roi_align(one, box, image, {1 << 15, 1 << 15, 64}); }, "roi_align");
}

}  // namespace
}  // namespace graft
