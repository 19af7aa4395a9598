// Module::on_forward and replace, and a stage inserted into a network: who is called, when, with
// what.
#include "graft/layers/modules/forward_hook.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/grad_meta.h"
#include "graft/core/autograd/record.h"
#include "graft/layers/functional/functional.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/headed_network.h"
#include "graft/layers/modules/inserted_stage.h"
#include "graft/layers/modules/linear.h"
#include "graft/layers/modules/sequential.h"
#include "graft/layers/plan/plan.h"
#include "graft/models/cifar_resnet.h"
#include "graft/tests/support/op_case.h"

namespace graft {
namespace {

std::shared_ptr<models::CifarResNet> network() {
  const auto made =
      std::make_shared<models::CifarResNet>(models::CifarResNetConfig{.depth = 8, .classes = 3});
  uint64_t stream = 0;
  for (const auto& [name, tensor] : made->parameters())
    Tensor(tensor).copy_from(test::distinct_values(tensor.shape(), -0.2, 0.3, stream++));
  return made;
}

Tensor image() {
  return test::distinct_values({2, 3, 8, 8}, -1, 1, 7)
      .to(DType::f32)
      .to(MemoryFormat::channels_last);
}

void expect_near(const Tensor& actual, const Tensor& expected) {
  const auto a = actual.to_doubles(), b = expected.to_doubles();
  EXPECT_LE(test::relative_error(a, b), 1e-4);
}

TEST(ForwardHook, IsToldInTrainingAndEvalWhileItsHandleLives) {
  const auto net = network();
  const Tensor x = image();
  const Tensor before = net->forward(x);
  std::vector<Shape> seen;
  {
    const ForwardHook hook =
        net->on_forward("layer2", [&](const Tensor& y) { seen.push_back(y.shape()); });
    EXPECT_EQ(net->forward(x).to_doubles(), before.to_doubles());
    net->train(false);
    const NoGradGuard no_grad;
    net->forward(x);
    net->forward_stages(x, 0, 1);  // not as far as layer2
  }
  net->forward(x);
  EXPECT_EQ(seen, (std::vector<Shape>{{2, 32, 4, 4}, {2, 32, 4, 4}}));
}

TEST(ForwardHook, SeesWhatTheFusedStepsWouldHide) {
  const auto net = network();
  const Tensor x = image();
  for (const bool trains : {false, true}) {
    net->train(trains);
    const Tensor plain = net->forward(x);
    Tensor of_conv, of_norm, of_block;
    const ForwardHook hooks[] = {
        net->on_forward("layer1.0.conv2", [&](const Tensor& y) { of_conv = y; }),
        net->on_forward("layer1.0.bn2", [&](const Tensor& y) { of_norm = y; }),
        net->on_forward("layer1.0", [&](const Tensor& y) { of_block = y; })};
    expect_near(net->forward(x), plain);
    ASSERT_TRUE(of_conv.defined() && of_norm.defined() && of_block.defined());
    const auto sums = of_norm.to_doubles(), block = of_block.to_doubles();
    EXPECT_TRUE(std::any_of(sums.begin(), sums.end(), [](double v) { return v < 0; }));
    EXPECT_TRUE(std::all_of(block.begin(), block.end(), [](double v) { return v >= 0; }));
  }
}

TEST(ForwardHook, ItsValueIsPartOfTheGraph) {
  const auto net = network();
  Tensor map;
  const ForwardHook hook = net->on_forward("layer3", [&](const Tensor& y) { map = y; });
  const Tensor y = net->forward(image());
  EXPECT_TRUE(needs_grad(map));
  backward(functional::sum(map));  // of the map alone
  EXPECT_TRUE(grad_of(net->state_dict().at("layer3.0.conv2.weight")).defined());
  EXPECT_FALSE(grad_of(net->state_dict().at("linear.weight")).defined());
}

TEST(ForwardHook, MayBeMovedRemovedAndOutliveTheNetwork) {
  auto net = network();
  int calls = 0;
  ForwardHook first = net->on_forward("linear", [&](const Tensor&) { ++calls; });
  ForwardHook second = net->on_forward("linear", [&](const Tensor&) { calls += 10; });
  net->forward(image());
  EXPECT_EQ(calls, 11);
  second = std::move(first);  // the second's is gone
  net->forward(image());
  EXPECT_EQ(calls, 12);
  net = nullptr;
  second.remove();
}

TEST(ForwardHook, IsNeverBypassedByAPlan) {
  const auto net = network();
  net->train(false);
  const auto forward = [&](const Tensor& x) { return net->forward(x); };
  std::string reason;
  const auto former = Plan::compile(forward, {3, 8, 8}, &reason);
  ASSERT_TRUE(former) << reason;
  EXPECT_FALSE(former->stale());
  int calls = 0;
  {
    const ForwardHook hook = net->on_forward("layer1", [&](const Tensor&) { ++calls; });
    EXPECT_TRUE(former->stale());
    EXPECT_FALSE(Plan::compile(forward, {3, 8, 8}, &reason));
    EXPECT_NE(reason.find("hook"), std::string::npos) << reason;
    EXPECT_EQ(calls, 0);  // a trace's values are made up
  }
  EXPECT_TRUE(Plan::compile(forward, {3, 8, 8}, &reason));
}

TEST(ForwardHook, RefusesWhatIsNotRun) {
  const auto net = network();
  const auto ignore = [](const Tensor&) {};
  EXPECT_THROW(static_cast<void>(net->on_forward("layer9", ignore)), Error);
  EXPECT_THROW(static_cast<void>(net->on_forward("layer1", nullptr)), Error);
  HeadedNetwork headed(net, std::make_shared<Linear>(64, 2));
  EXPECT_THROW(static_cast<void>(headed.on_forward("body", ignore)), Error);
  EXPECT_THROW(static_cast<void>(headed.on_forward("body.linear", ignore)), Error);  // unused
  EXPECT_NO_THROW(static_cast<void>(headed.on_forward("head", ignore)));
}

// y = x + 1, and a parameter of its own.
class PlusOne final : public Module {
 public:
  PlusOne() : one_(register_parameter("one", Tensor::full({1}, 1))) {}
  Tensor forward(const Tensor& x) override {
    ++calls;
    return x + 1 * one_;
  }
  int calls = 0;

 private:
  const Tensor& one_;
};

TEST(Replace, IsSeenWhoeverHoldsTheFormerOne) {
  for (const char* path : {"layer2", "layer1.0", "layer1.0.bn1", "layer1.0.conv2", "bn1"}) {
    const auto net = network();
    net->train(false);
    const Tensor x = image();
    const Tensor before = net->forward(x);
    const auto other = std::make_shared<PlusOne>();
    if (path == std::string("layer2")) {
      // [N,16] -> [N,32] channels are layer2's to make: the former one stays within the new one.
      const std::shared_ptr<Module> both(
          new Sequential{net->children()[3].second, std::shared_ptr<Module>(other)});
      ASSERT_EQ(net->children()[3].first, "layer2");
      net->replace(path, both);
      EXPECT_TRUE(net->state_dict().find("layer2.0.0.conv1.weight").defined());
      EXPECT_TRUE(net->state_dict().find("layer2.1.one").defined());
    } else {
      net->replace(path, other);
      EXPECT_EQ(net->find(path), other.get());
      EXPECT_TRUE(net->state_dict().find(std::string(path) + ".one").defined());
    }
    EXPECT_FALSE(other->training());
    EXPECT_NE(net->forward(x).to_doubles(), before.to_doubles()) << path;
    EXPECT_EQ(other->calls, 1) << path;
    net->zero_grad();
    backward(functional::sum(net->forward(x)));
    EXPECT_TRUE(grad_of(other->parameters()[0].tensor).defined()) << path;
  }
}

TEST(Replace, TwiceAndWithAHook) {
  const auto net = network();
  const auto first = std::make_shared<PlusOne>(), second = std::make_shared<PlusOne>();
  net->replace("layer1.0.conv2", first);
  net->replace("layer1.0.conv2", second);
  int calls = 0;
  const ForwardHook hook = net->on_forward("layer1.0.conv2", [&](const Tensor&) { ++calls; });
  net->forward(image());
  EXPECT_EQ(first->calls, 0);
  EXPECT_EQ(second->calls, 1);
  EXPECT_EQ(calls, 1);
}

TEST(Replace, MakesPlansStaleAndGoesIntoOthers) {
  const auto net = network();
  net->train(false);
  const auto forward = [&](const Tensor& x) { return net->forward(x); };
  const auto former = Plan::compile(forward, {3, 8, 8});
  net->replace("layer1.0.bn1", std::make_shared<PlusOne>());
  EXPECT_TRUE(former->stale());
  const auto plan = Plan::compile(forward, {3, 8, 8});
  ASSERT_TRUE(plan);
  const NoGradGuard no_grad;
  expect_near(plan->run(image()), net->forward(image()));
}

TEST(Replace, LetsTheFormerTensorsGo) {
  const auto net = network();
  const Tensor weight = net->state_dict().at("layer1.0.conv2.weight");
  EXPECT_FALSE(weight.is_last_handle());
  net->replace("layer1.0.conv2", std::make_shared<PlusOne>());
  EXPECT_TRUE(weight.is_last_handle());  // so that an optimizer knows that it trains nothing
}

TEST(Replace, RefusesWhatCannotBe) {
  const auto net = network();
  EXPECT_THROW(net->replace("layer9", std::make_shared<PlusOne>()), Error);
  EXPECT_THROW(net->replace("", std::make_shared<PlusOne>()), Error);
  EXPECT_THROW(net->replace("layer1", nullptr), Error);
  const auto former = net->children()[0].second;  // conv1
  const auto other = std::make_shared<PlusOne>();
  net->replace("conv1", other);
  EXPECT_THROW(net->replace("conv1", former), Error);  // emptied
  const auto layer = std::make_shared<Linear>(2, 2);
  Sequential twice{layer, layer};
  EXPECT_THROW(twice.replace("0", std::make_shared<PlusOne>()), Error);
  const auto holder = std::make_shared<Sequential>();
  holder->append(net->children()[2].second);              // layer1
  EXPECT_THROW(net->replace("layer1.0", holder), Error);  // it would hold itself
}

TEST(InsertedStage, RunsBehindItsStage) {
  const auto base = network();
  base->train(false);
  const auto one = std::make_shared<PlusOne>();
  const Tensor x = image();
  InsertedStage net(base, "layer2", "plus", one);
  EXPECT_EQ(net.stages(), (std::vector<std::string>{"stem", "layer1", "layer2", "plus", "layer3",
                                                    "pool", "linear"}));
  EXPECT_EQ(net.stage_paths(3), std::vector<std::string>{"plus"});
  EXPECT_EQ(net.stage_paths(4), std::vector<std::string>{"layer3"});
  EXPECT_TRUE(net.state_dict().find("layer3.0.conv1.weight").defined());
  EXPECT_TRUE(net.state_dict().find("plus.one").defined());
  const Tensor expected =
      base->forward_stages(base->forward_stages(x, 0, 3) + 1, 3, base->stages().size());
  net.train(false);
  EXPECT_EQ(net.forward(x).to_doubles(), expected.to_doubles());
  Tensor y = x;
  for (size_t s = 0; s < net.stages().size(); ++s) y = net.forward_stages(y, s, s + 1);
  EXPECT_EQ(y.to_doubles(), expected.to_doubles());
  for (size_t s = 0; s < 3; ++s) net.freeze_stage(s);
  EXPECT_EQ(net.frozen_stages(), 3u);
  EXPECT_THROW(InsertedStage(base, "layer9", "se", one), Error);
  EXPECT_THROW(InsertedStage(base, "layer2", "layer3", one), Error);
  EXPECT_THROW(InsertedStage(base, "layer2", "conv1", one), Error);
}

}  // namespace
}  // namespace graft
