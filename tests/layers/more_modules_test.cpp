// The modules over functions: each gives what its function gives of its parameters, which begin as
// PyTorch's do and get gradients.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/layers/functional/functional.h"
#include "graft/layers/modules/conv_nd.h"
#include "graft/layers/modules/conv_transpose2d.h"
#include "graft/layers/modules/default_values.h"
#include "graft/layers/modules/embedding.h"
#include "graft/layers/modules/sample_norms.h"
#include "graft/layers/modules/squeeze_excitation.h"
#include "graft/layers/modules/upsample.h"
#include "graft/models/initialization.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

namespace fn = functional;

Tensor values(const Shape& shape) { return test::distinct_values(shape, -1, 1, 3).to(DType::f32); }

void expect_same(const Tensor& actual, const Tensor& expected) {
  EXPECT_EQ(actual.shape(), expected.shape());
  EXPECT_EQ(actual.to_doubles(), expected.to_doubles());
}

void expect_gradients(Module& module, const Tensor& x) {
  const Tensor y = module(x);
  backward(fn::sum(y * values(y.shape())));
  for (const auto& [name, tensor] : module.parameters())
    EXPECT_TRUE(grad_of(tensor).defined()) << name;
}

void expect_within(const Tensor& t, double bound) {
  double most = 0;
  for (const double v : t.to_doubles()) most = std::max(most, std::abs(v));
  EXPECT_LE(most, bound);
  EXPECT_GT(most, bound / 2);
}

TEST(MoreModules, Conv1dAndConv3d) {
  Conv1d line({.in_channels = 4,
               .out_channels = 6,
               .kernel = 3,
               .stride = 2,
               .padding = 2,
               .dilation = 2,
               .groups = 2,
               .bias = true});
  EXPECT_EQ(line.weight().shape(), (Shape{6, 2, 3}));
  expect_within(line.weight(), 1 / std::sqrt(6.0));
  ops::ConvAttributes attributes{{1, {3, 1, 1}, {2, 1, 1}, {2, 1, 1}, {2, 0, 0}, {2, 0, 0}}, 2};
  const Tensor x = values({2, 4, 11});
  expect_same(line(x), fn::conv(x, line.weight(), line.bias(), attributes));
  EXPECT_EQ(line(x).shape(), (Shape{2, 6, 6}));
  expect_gradients(line, x);

  Conv3d volume({.in_channels = 2, .out_channels = 3, .kernel = 2});
  EXPECT_EQ(volume.weight().shape(), (Shape{3, 2, 2, 2, 2}));
  EXPECT_FALSE(volume.bias().defined());
  const Tensor v = values({1, 2, 3, 4, 5});
  expect_same(volume(v), fn::conv(v, volume.weight(), {}));
  EXPECT_EQ(volume(v).shape(), (Shape{1, 3, 2, 3, 4}));
  expect_gradients(volume, v);
  EXPECT_THROW(line(values({2, 4, 11, 1})), Error);
  EXPECT_THROW(Conv1d({.in_channels = 4, .out_channels = 6, .groups = 3}), Error);
}

TEST(MoreModules, ConvTranspose2d) {
  ConvTranspose2d up({.in_channels = 4,
                      .out_channels = 6,
                      .kernel = 3,
                      .stride = 2,
                      .padding = 1,
                      .output_padding = 1,
                      .groups = 2,
                      .bias = true});
  EXPECT_EQ(up.weight().shape(), (Shape{4, 3, 3, 3}));
  expect_within(up.weight(), 1 / std::sqrt(27.0));  // PyTorch's fan: the second axis
  const Tensor x = values({2, 4, 5, 4});
  EXPECT_EQ(up(x).shape(), (Shape{2, 6, 10, 8}));
  expect_same(up(x), fn::conv_transpose(x, up.weight(), up.bias(), {ops::square_window(3, 2, 1), 2},
                                        {1, 1, 0}));
  expect_gradients(up, x);
  EXPECT_THROW(ConvTranspose2d({.in_channels = 1, .out_channels = 1, .output_padding = 1}), Error);
}

TEST(MoreModules, EmbeddingLooksUp) {
  Embedding table(5, 3);
  const Tensor places = Tensor::of<int64_t>({{4, 0}, {1, -1}});
  expect_same(table(places), fn::gather(table.weight(), places));
  EXPECT_EQ(table(places).shape(), (Shape{2, 2, 3}));
  expect_gradients(table, places);
  EXPECT_EQ(grad_of(table.weight()).to_doubles()[6], 0);  // nobody asked for vector 2
  EXPECT_THROW(table(Tensor::of<int64_t>({5})), Error);
  const Tensor known = values({7, 2});
  Embedding given(known);
  expect_same(given.weight(), known);
  EXPECT_FALSE(given.weight().is_same(known));
  double squares = 0;
  for (const double v : Embedding(50, 20).weight().to_doubles()) squares += v * v;
  EXPECT_NEAR(squares / 1000, 1, 0.2);
}

TEST(MoreModules, LayerNormAndGroupNorm) {
  LayerNorm last(Shape{4}), image(Shape{6, 3, 4});
  const Tensor x = values({2, 6, 3, 4});
  for (LayerNorm* norm : {&last, &image}) {
    Tensor(norm->weight()).copy_from(values(norm->weight().shape()));
    Tensor(norm->bias()).copy_from(values(norm->weight().shape()));
    expect_gradients(*norm, x);
  }
  expect_same(last(x), fn::layer_norm(x, last.weight(), last.bias(), -1));
  expect_same(image(x), fn::layer_norm(x, image.weight(), image.bias(), 1));
  EXPECT_THROW(last(values({2, 3})), Error);
  EXPECT_THROW(LayerNorm(Shape{1})(values({2, 3})), Error);

  GroupNorm groups(3, 6, 1e-3);
  expect_same(groups(x), fn::group_norm(x, 3, groups.weight(), groups.bias(), 1e-3));
  expect_gradients(groups, x);
  EXPECT_THROW(GroupNorm(4, 6), Error);
  EXPECT_THROW(groups(values({2, 9})), Error);
}

TEST(MoreModules, SqueezeExcitationGatesChannels) {
  SqueezeExcitation gate({.channels = 4, .hidden = 2});
  const Tensor x = values({2, 4, 3, 3});
  const Tensor means = fn::flatten(fn::global_average_pool(x));
  const auto state = gate.state_dict();
  const auto layer = [&](const std::string& name, const Tensor& in) {
    const Tensor weight = state.at(name + ".weight");
    return fn::linear(in, fn::reshape(weight, {weight.size(0), weight.size(1)}),
                      state.at(name + ".bias"));
  };
  const Tensor s = fn::sigmoid(layer("fc2", fn::relu(layer("fc1", means))));
  const auto expected = (x * fn::reshape(s, {2, 4, 1, 1})).to_doubles(), y = gate(x).to_doubles();
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], expected[i], 1e-6);
  expect_gradients(gate, x);
  EXPECT_THROW(SqueezeExcitation({.channels = 4}), Error);
}

TEST(MoreModules, UpsampleEnlarges) {
  const Tensor x = values({1, 2, 2, 3});
  expect_same(Upsample()(x), fn::interpolate(x, {4, 6}, fn::ResizeMode::nearest));
  Upsample smooth({.factor = 3, .mode = fn::ResizeMode::linear, .align_corners = true});
  expect_same(smooth(x), fn::interpolate(x, {6, 9}, fn::ResizeMode::linear, true));
  expect_same(Upsample()(values({1, 2, 3})).to(DType::f32),
              fn::interpolate(values({1, 2, 3}), {6}, fn::ResizeMode::nearest));
  EXPECT_THROW(Upsample()(values({2, 3})), Error);
  EXPECT_THROW(Upsample({.factor = 0}), Error);
}

TEST(MoreModules, InitializationDependsOnTheSeedAlone) {
  const auto made = [](uint64_t seed) {
    std::vector<double> all;
    Conv1d conv({.in_channels = 2, .out_channels = 2, .bias = true});
    ConvTranspose2d up({.in_channels = 2, .out_channels = 2});
    Embedding table(2, 2);
    GroupNorm norm(1, 2);
    for (Module* module : std::initializer_list<Module*>{&conv, &up, &table, &norm}) {
      for (const auto& [name, tensor] : module->parameters())
        Tensor(tensor).copy_from(Tensor::full(tensor.shape(), 9));
      models::initialize(*module, seed);
      for (const auto& [name, tensor] : module->parameters())
        for (const double v : tensor.to_doubles()) all.push_back(v);
    }
    return all;
  };
  EXPECT_EQ(made(1), made(1));
  EXPECT_NE(made(1), made(2));
  for (const double v : made(1)) EXPECT_NE(v, 9);
}

}  // namespace
}  // namespace graft
