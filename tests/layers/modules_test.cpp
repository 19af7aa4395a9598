// Module: names, order, loading, freezing, modes; and the layers with parameters.
#include <gtest/gtest.h>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/reduce.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/functional/unary.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/conv2d.h"
#include "graft/layers/modules/linear.h"
#include "graft/layers/modules/sequential.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

// stem.0 (conv), stem.1 (batch norm), head (linear).
class SmallNet final : public Module {
 public:
  SmallNet() {
    stem_ = register_module(
        "stem", std::make_shared<Sequential>(std::initializer_list<std::shared_ptr<Module>>{
                    std::make_shared<Conv2d>(Conv2dOptions{2, 3, 3, 1, 1}),
                    std::make_shared<BatchNorm2d>(BatchNorm2dOptions{3})}));
    head_ = register_module("head", std::make_shared<Linear>(3, 2));
    uint64_t stream = 0;
    for (const auto& [name, tensor] : parameters())
      Tensor(tensor).copy_from(test::distinct_values(tensor.shape(), -1, 1, stream++));
  }
  Tensor forward(const Tensor& x) override {
    return head_->forward(
        functional::flatten(functional::global_average_pool(functional::relu(stem_->forward(x)))));
  }
  std::shared_ptr<Sequential> stem_;
  std::shared_ptr<Linear> head_;
};

std::vector<std::string> names(const std::vector<NamedTensor>& tensors) {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : tensors) result.push_back(name);
  return result;
}

Tensor image() { return test::distinct_values({4, 2, 5, 5}, -1, 2, 77).to(DType::f32); }

TEST(Module, NamesAndOrder) {
  const SmallNet net;
  const std::vector<std::string> parameters{"stem.0.weight", "stem.1.weight", "stem.1.bias",
                                            "head.weight", "head.bias"};
  const std::vector<std::string> buffers{"stem.1.running_mean", "stem.1.running_var",
                                         "stem.1.num_batches_tracked"};
  EXPECT_EQ(names(net.parameters()), parameters);
  EXPECT_EQ(names(net.buffers()), buffers);
  std::vector<std::string> all = parameters, state;
  all.insert(all.end(), buffers.begin(), buffers.end());
  for (const auto& [name, tensor] : net.state_dict()) state.push_back(name);
  EXPECT_EQ(state, all);
}

TEST(Module, ACycleIsAnError) {
  struct Loop final : Module {
    void hold(std::shared_ptr<Module> child) { register_module("child", std::move(child)); }
    void swap(std::shared_ptr<Module> child) { replace_child("child", std::move(child)); }
    Tensor forward(const Tensor& x) override { return x; }
  };
  const auto outer = std::make_shared<Loop>(), inner = std::make_shared<Loop>();
  EXPECT_THROW(outer->hold(outer), Error);
  outer->hold(inner);
  EXPECT_THROW(inner->hold(outer), Error);
  EXPECT_THROW(outer->swap(outer), Error);
  EXPECT_THROW(outer->swap(nullptr), Error);
  EXPECT_EQ(outer->children().size(), 1u);
  Sequential twice{inner, inner};  // a layer in two places is none
  EXPECT_EQ(twice.children().size(), 2u);
}

TEST(Module, FindAndVisit) {
  SmallNet net;
  EXPECT_EQ(net.find(""), &net);
  EXPECT_EQ(net.find("head"), net.head_.get());
  EXPECT_NE(dynamic_cast<BatchNorm2d*>(net.find("stem.1")), nullptr);
  EXPECT_EQ(net.find("stem.2"), nullptr);
  EXPECT_EQ(net.find("stem.1.weight"), nullptr);
  std::vector<std::string> paths;
  net.for_each_module([&](const std::string& path, Module&) { paths.push_back(path); });
  EXPECT_EQ(paths, (std::vector<std::string>{"", "stem", "stem.0", "stem.1", "head"}));
}

TEST(Module, LoadingIsStrictAndAllOrNothing) {
  SmallNet net;
  const std::vector<double> before = net.head_->weight().to_doubles();
  StateDict wrong;
  for (const auto& [name, tensor] : SmallNet().state_dict())
    if (name == "head.weight")
      wrong.add(name, Tensor::zeros({5, 3}));
    else if (name != "stem.0.weight")
      wrong.add(name, Tensor::zeros(tensor.shape()));
  wrong.add("fc.bias", Tensor::zeros({1}));
  try {
    net.load_state_dict(wrong);
    FAIL();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    for (const char* part : {"stem.0.weight", "fc.bias", "head.weight", "[5,3]", "[2,3]"})
      EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  EXPECT_EQ(net.head_->weight().to_doubles(), before);
  EXPECT_EQ(net.head_->bias().to_doubles(), SmallNet().head_->bias().to_doubles());
}

TEST(Module, LoadingConvertsTypesAndNeedsNoBatchCount) {
  SmallNet net;
  StateDict state;
  for (const auto& [name, tensor] : net.state_dict())
    if (!name.ends_with("num_batches_tracked"))
      state.add(name, Tensor::full(tensor.shape(), 0.5, {.dtype = DType::f64}));
  const Tensor weight = net.head_->weight();
  const uint64_t version = weight.version();
  net.load_state_dict(state);
  EXPECT_TRUE(net.head_->weight().is_same(
      weight));  // values are copied in: whoever holds the tensor sees them
  EXPECT_GT(weight.version(), version);
  EXPECT_EQ(weight.dtype(), DType::f32);
  EXPECT_EQ(weight.to_doubles()[0], 0.5);
  EXPECT_TRUE(requires_grad(weight));
}

TEST(Module, FrozenMeansFrozen) {
  SmallNet net;
  net.stem_->freeze();
  net.train(true);
  EXPECT_TRUE(net.training());
  EXPECT_TRUE(net.head_->training());
  EXPECT_FALSE(net.stem_->training());
  EXPECT_FALSE(net.find("stem.1")->training());
  EXPECT_FALSE(net.frozen());
  const StateDict before = [&] {
    StateDict copy;
    for (const auto& [name, tensor] : net.state_dict()) copy.add(name, tensor.clone());
    return copy;
  }();
  EXPECT_FALSE(needs_grad(net.stem_->forward(image())));
  backward(functional::reduce(net.forward(image()), {}));
  for (const auto& [name, tensor] : net.state_dict())
    EXPECT_EQ(tensor.to_doubles(), before.at(name).to_doubles())
        << name;  // running statistics included
  for (const auto& [name, tensor] : net.parameters())
    EXPECT_EQ(grad_of(tensor).defined(), name.starts_with("head")) << name;

  net.unfreeze();
  net.train(true);
  EXPECT_TRUE(net.find("stem.1")->training());
  net.zero_grad();
  backward(functional::reduce(net.forward(image()), {}));
  for (const auto& [name, tensor] : net.parameters())
    EXPECT_TRUE(grad_of(tensor).defined()) << name;
}

TEST(Module, OwnGradientsCanBeSwitchedOffWithoutFreezing) {
  SmallNet net;
  net.find("stem.1")->set_own_requires_grad(false);
  backward(functional::reduce(net.forward(image()), {}));
  for (const auto& [name, tensor] : net.parameters())
    EXPECT_EQ(grad_of(tensor).defined(), !name.starts_with("stem.1")) << name;
}

TEST(Module, ConversionKeepsValuesAndSwitches) {
  SmallNet net;
  net.stem_->freeze();
  const std::vector<double> weight = net.head_->weight().to_doubles();
  net.to(DType::f64);
  EXPECT_EQ(net.head_->weight().dtype(), DType::f64);
  EXPECT_EQ(net.head_->weight().to_doubles(), weight);
  for (const auto& [name, tensor] : net.parameters())
    EXPECT_EQ(requires_grad(tensor), name.starts_with("head")) << name;
  for (const auto& [name, tensor] : net.buffers())
    EXPECT_EQ(tensor.dtype(), name.ends_with("num_batches_tracked") ? DType::i64 : DType::f64)
        << name;
  EXPECT_EQ(net.forward(image().to(DType::f64)).dtype(), DType::f64);
}

TEST(BatchNorm2d, RunningStatisticsFollowPyTorch) {
  BatchNorm2d norm({2, 1e-5, 0.25});
  const Tensor x = Tensor::of<float>({1, 2, 1, 2}, {1, 3, 10, 10});
  norm.forward(x);
  EXPECT_EQ(norm.running_mean().to_doubles(), (std::vector<double>{0.5, 2.5}));
  EXPECT_EQ(norm.running_var().to_doubles(),
            (std::vector<double>{0.75 + 0.25 * 2, 0.75}));  // unbiased
  EXPECT_EQ(norm.state_dict().at("num_batches_tracked").item(), 1);
  norm.train(false);
  norm.forward(x);
  norm.train(true);
  norm.fix_statistics(true);
  norm.forward(x);
  EXPECT_EQ(norm.running_mean().to_doubles(), (std::vector<double>{0.5, 2.5}));
  EXPECT_EQ(norm.state_dict().at("num_batches_tracked").item(), 1);
}

// Fixed statistics: the affine parameters still learn.
TEST(BatchNorm2d, FixedStatisticsStillTrainTheAffinePart) {
  BatchNorm2d norm({2});
  norm.fix_statistics(true);
  backward(functional::reduce(norm.forward(image()), {}));
  EXPECT_TRUE(grad_of(norm.weight()).defined());
  EXPECT_TRUE(grad_of(norm.bias()).defined());
}

TEST(Layers, RefuseImpossibleSizes) {
  EXPECT_THROW(Conv2d({0, 3}), Error);
  EXPECT_THROW(Conv2d({4, 6, 3, 1, 1, 1, 4}), Error);
  EXPECT_THROW(BatchNorm2d({0}), Error);
  EXPECT_THROW(Linear(0, 3), Error);
  EXPECT_THROW(Sequential({nullptr}), Error);
}

TEST(Sequential, RunsInOrder) {
  Sequential chain{std::make_shared<Function>(
                       [](const Tensor& x) { return functional::add(x, Tensor::full({1}, 1)); }),
                   std::make_shared<Function>(
                       [](const Tensor& x) { return functional::mul(x, Tensor::full({1}, 3)); })};
  EXPECT_EQ(chain(Tensor::full({1}, 2)).item(), 9);
}

}  // namespace
}  // namespace graft
