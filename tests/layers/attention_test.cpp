// Attention, rotary embedding, and the negative log likelihood of labels.
#include "graft/layers/functional/attention.h"

#include <gtest/gtest.h>

#include "graft/layers/functional/label_loss.h"
#include "graft/layers/functional/softmax.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

using namespace functional;
using test::matched;
using test::OpCase;
using test::OpInput;
using Inputs = std::span<const Tensor>;

OpCase composed(std::string name, const std::vector<Shape>& shapes,
                std::function<Tensor(Inputs)> function) {
  OpCase op{.name = std::move(name),
            .inputs = {},
            .call = [function](Inputs in) { return std::vector<Tensor>{function(in)}; },
            .forward_dtypes = {},
            .keeps_layout = false};
  for (const Shape& shape : shapes) op.inputs.push_back(test::activation(shape));
  return op;
}
OpCase attending(std::string name, const std::vector<Shape>& shapes,
                 const AttentionOptions& options = {}) {
  return composed(std::move(name), shapes, [options](Inputs in) {
    return attention({in[0], in[1], in[2]}, options).y;
  });
}
OpCase rotating(std::string name, const std::vector<Shape>& shapes, const RotaryOptions& options,
                const Tensor& positions = {}) {
  return composed(std::move(name), shapes, [=](Inputs in) {
    return rotary_embedding(in[0], in[1], in[2], positions, options);
  });
}
OpCase likelihood(std::string name, const Shape& x, const Shape& places, bool weighted,
                  std::optional<int64_t> ignored = {},
                  LossReduction reduction = LossReduction::mean) {
  OpCase op = composed("nll_" + std::move(name), {x}, [=](Inputs in) {
    return negative_log_likelihood(log_softmax(in[0], 1), in[1],
                                   {weighted ? in[2] : Tensor(), ignored, reduction});
  });
  op.inputs.push_back({places, test::Role::labels, false, 0, static_cast<double>(x[1])});
  if (weighted) op.inputs.push_back(test::fixed(matched({x[1]}, 0.2, 2)));
  return op;
}

std::vector<OpCase> cases() {
  const std::vector<Shape> qkv{{2, 3, 4, 5}, {2, 3, 6, 5}, {2, 3, 6, 2}};
  const std::vector<Shape> square(3, Shape{1, 2, 3, 2});
  std::vector<OpCase> all{
      attending("attention", qkv),
      composed("attention_scaled_mask", {qkv[0], qkv[1], qkv[2], {3, 4, 6}},
               [](Inputs in) {
                 return attention({in[0], in[1], in[2], in[3]}, {.scale = 0.3}).y;
               }),
      attending("attention_causal", std::vector<Shape>(3, Shape{1, 2, 4, 3}), {.causal = true}),
      attending("attention_grouped", {{1, 4, 3, 2}, {1, 2, 5, 2}, {1, 2, 5, 3}}),
      attending("attention_capped", qkv, {.softcap = 0.7}),
      attending("attention_flat", {{2, 4, 6}, {2, 5, 6}, {2, 5, 6}},
                {.query_heads = 2, .key_heads = 2}),
      composed("attention_past", {square[0], square[1], square[2], {1, 2, 2, 2}, {1, 2, 2, 2}},
               [](Inputs in) {
                 return attention({.query = in[0],
                                   .key = in[1],
                                   .value = in[2],
                                   .past_key = in[3],
                                   .past_value = in[4]},
                                  {.causal = true})
                     .y;
               }),
      composed("attention_masked_row", square,
               [](Inputs in) {
                 return attention({in[0], in[1], in[2],
                                   Tensor::of<bool>({3, 3}, {false, false, false, true, false, true,
                                                             false, true, false})})
                     .y;
               }),
      composed("attention_valid_keys", {{2, 1, 2, 3}, {2, 1, 4, 3}, {2, 1, 4, 3}},
               [](Inputs in) {
                 return attention({.query = in[0],
                                   .key = in[1],
                                   .value = in[2],
                                   .valid_keys = Tensor::of<int64_t>({2}, {3, 2})})
                     .y;
               }),
      rotating("rotary", {{2, 3, 4, 6}, {2, 4, 3}, {2, 4, 3}}, {}),
      rotating("rotary_interleaved", {{1, 2, 3, 4}, {1, 3, 2}, {1, 3, 2}}, {.interleaved = true}),
      rotating("rotary_partial", {{1, 2, 3, 6}, {1, 3, 2}, {1, 3, 2}}, {.rotated = 4}),
      rotating("rotary_flat", {{1, 3, 8}, {5, 2}, {5, 2}}, {.heads = 2},
               Tensor::of<int64_t>({1, 3}, {4, 0, 2})),
      likelihood("mean", {3, 4}, {3}, false),
      likelihood("weighted", {2, 3, 4}, {2, 4}, true),
      likelihood("ignored", {2, 3, 2, 3}, {2, 2, 3}, true, 1),
      likelihood("ignored_sum", {4, 3}, {4}, false, 2, LossReduction::sum),
      likelihood("none", {2, 3, 4}, {2, 4}, true, 0, LossReduction::none),
  };
  return all;
}
GRAFT_OP_CASES(Attention, cases(), "attention.safetensors", "unary", "binary");

TEST(Attention, WindowsMaskFarKeys) {
  const Tensor q = Tensor::zeros({1, 1, 3, 2}), k = Tensor::zeros({1, 1, 3, 2}),
               v = Tensor::of<float>({1, 1, 3, 1}, {1, 2, 4});
  EXPECT_EQ(attention({q, k, v}, {.left_window = 0, .right_window = 1}).y.to_doubles(),
            (std::vector<double>{1.5, 3, 4}));
  EXPECT_EQ(attention({q, k, v}, {.causal = true, .left_window = 1}).weights.to_doubles(),
            (std::vector<double>{1, 0, 0, 0.5, 0.5, 0, 0, 0.5, 0.5}));
}

TEST(Attention, RefusesWhatDoesNotFit) {
  const Tensor q = Tensor::zeros({1, 2, 3, 4}), k = Tensor::zeros({1, 2, 5, 4}),
               flat = Tensor::zeros({1, 3, 8});
  EXPECT_THROW(attention({q, k, q}), Error);
  EXPECT_THROW(attention({q, Tensor::zeros({1, 2, 5, 3}), k}), Error);
  EXPECT_THROW(attention({Tensor::zeros({1, 3, 3, 4}), k, k}), Error);
  EXPECT_THROW(attention({flat, flat, flat}), Error);
  EXPECT_THROW(attention({.query = q, .key = k, .value = k, .past_key = k}), Error);
  EXPECT_THROW(rotary_embedding(q, k, k), Error);
  EXPECT_THROW(rotary_embedding(q, k, k, {}, {.rotated = 3}), Error);
  const Tensor x = Tensor::zeros({2, 3});
  EXPECT_THROW(negative_log_likelihood(x, Tensor::of<int64_t>({2}, {0, 3})), Error);
  EXPECT_THROW(negative_log_likelihood(x, Tensor::of<int64_t>({2}, {0, -1})), Error);
  EXPECT_THROW(negative_log_likelihood(x, Tensor::of<int64_t>({3}, {0, 1, 1})), Error);
  EXPECT_THROW(negative_log_likelihood(x, Tensor::of<int64_t>({2}, {0, 1}), {x}), Error);
}

}  // namespace
}  // namespace graft
