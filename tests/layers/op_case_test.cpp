// The harness itself: it must see a wrong gradient, a wrong kernel and a wrong layout.
#include "graft/tests/support/op_case.h"

#include <gtest/gtest-spi.h>

#include <cmath>
#include <functional>

#include "graft/core/autograd/record.h"
#include "graft/kernels/ops/unary.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/unary.h"

namespace graft {
namespace {

using test::activation;
using test::OpCase;

// The messages of the failures that `check` reports.
std::string failures_of(const std::function<void()>& check) {
  ::testing::TestPartResultArray results;
  {
    const ::testing::ScopedFakeTestPartResultReporter reporter(&results);
    check();
  }
  std::string messages;
  for (int i = 0; i < results.size(); ++i) messages += results.GetTestPartResult(i).message();
  return messages;
}

struct WrongAttributes {
  static constexpr std::string_view id = "wrong";
};

// y = x, whose gradient is claimed to be 1.01 times that.
class WrongNode final : public Node {
 public:
  const char* name() const override { return "wrong"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    return {functional::mul(grads[0], Tensor::scalar(1.01, grads[0].dtype()))};
  }
  void release() override {}
};

Replay no_replay(const ReplaySite&) { return Replay::refused("it is wrong"); }

TEST(OpCase, SeesAWrongGradient) {
  const OpCase op{
      "wrong", {activation({3, 2})}, [](std::span<const Tensor> in) {
        return std::vector<Tensor>{record(WrongAttributes{}, no_replay, {in[0]}, in[0].clone(),
                                          [] { return std::make_shared<WrongNode>(); })};
      }};
  EXPECT_NE(failures_of([&] { test::expect_gradient(op); }).find("gradient of input 0"),
            std::string::npos);
}

TEST(OpCase, SeesAValueThatDependsOnTheLayout) {
  const OpCase op{.name = "wrong",
                  .inputs = {activation({1, 2, 2, 2})},
                  .call =
                      [](std::span<const Tensor> in) {
                        return std::vector<Tensor>{in[0].format() == MemoryFormat::contiguous
                                                       ? in[0]
                                                       : functional::relu(in[0])};
                      },
                  .forward_dtypes = {}};
  const std::string messages = failures_of([&] { test::expect_kernels_agree(op); });
  EXPECT_NE(messages.find("activations channels_last, parameters contiguous: output 0"),
            std::string::npos)
      << messages;
  EXPECT_EQ(messages.find("activations contiguous"), std::string::npos) << messages;
}

TEST(OpCase, SeesANaNAndAWrongSize) {
  EXPECT_EQ(test::relative_error(std::vector<double>{1, 2}, std::vector<double>{1, 2}), 0);
  EXPECT_NEAR(test::relative_error(std::vector<double>{1, 2.5}, std::vector<double>{1, 2}), 0.25,
              1e-12);
  EXPECT_GT(test::relative_error(std::vector<double>{1, std::nan("")}, std::vector<double>{1, 2}),
            1e300);
  EXPECT_GT(test::relative_error(std::vector<double>{1}, std::vector<double>{1, 2}), 1e300);
  EXPECT_EQ(
      test::relative_error(std::vector<double>{std::nan("")}, std::vector<double>{std::nan("")}),
      0);
}

}  // namespace
}  // namespace graft
