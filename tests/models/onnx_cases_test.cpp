// ONNX's own node cases, a small packed part of them: tests/conformance/run_node_cases.py runs all.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "graft/core/runtime/random.h"
#include "graft/tests/support/onnx_case.h"

namespace graft::test {
namespace {

TEST(OnnxCases, PackedNodeCasesPass) {
  const auto cases = read_packed_cases(GRAFT_TEST_DATA "/graphs/node_cases.npz");
  EXPECT_GE(cases.size(), 300u);
  for (const OnnxCase& test : cases) {
    EXPECT_FALSE(test.sets.empty()) << test.name;
    const CaseResult result = run_case(test);
    EXPECT_EQ(result.verdict, Verdict::passed) << test.name << ": " << result.reason;
  }
}

TEST(OnnxCases, AWrongExpectationFails) {
  auto cases = read_packed_cases(GRAFT_TEST_DATA "/graphs/node_cases.npz");
  OnnxCase& test = cases.at(0);
  test.sets.at(0).outputs.at(0).back() ^= std::byte{0x40};
  EXPECT_EQ(run_case(test).verdict, Verdict::failed);
}

int64_t nasty(CountedRandom& random) {
  constexpr int64_t kValues[] = {
      -1,        0,        1, 2, 3, 7, -2, -7, 64, 1000, int64_t{1} << 31, int64_t{1} << 40,
      INT64_MAX, INT64_MIN};
  return kValues[random.below(std::size(kValues))];
}

// Changes one thing: a number or word of an attribute, what a node reads, its operator, the opset,
// a stored number.
void damage(io::onnx::Model& model, CountedRandom& random) {
  auto& nodes = model.graph.nodes;
  if (nodes.empty()) return;
  auto& node = nodes[random.below(nodes.size())];
  auto& other = nodes[random.below(nodes.size())];
  switch (random.below(7)) {
    case 0:
      if (!node.inputs.empty() && !other.inputs.empty())
        node.inputs[random.below(node.inputs.size())] =
            other.inputs[random.below(other.inputs.size())];
      return;
    case 1:
      if (!node.inputs.empty())
        node.inputs.erase(node.inputs.begin() +
                          static_cast<int64_t>(random.below(node.inputs.size())));
      return;
    case 2: model.opsets[0].version = static_cast<int64_t>(random.below(25)) + 1; return;
    case 3:
      node.inputs.push_back(node.inputs.empty() ? ""
                                                : node.inputs[random.below(node.inputs.size())]);
      return;
    case 4:
      for (auto& tensor : model.graph.initializers)
        if (tensor.value.defined() && tensor.value.dtype() == DType::i64 &&
            tensor.value.numel() > 0) {
          tensor.value = tensor.value.clone();
          tensor.value
              .mutable_data<int64_t>()[random.below(static_cast<uint64_t>(tensor.value.numel()))] =
              nasty(random);
        }
      return;
    default: break;
  }
  if (node.attributes.empty()) return;
  auto& attribute = node.attributes[random.below(node.attributes.size())];
  attribute.i = nasty(random);
  attribute.f = static_cast<float>(nasty(random));
  if (random.below(2) == 0) attribute.s = "linear";
  if (random.below(4) == 0)
    attribute.ints.push_back(nasty(random));
  else if (random.below(4) == 0 && !attribute.ints.empty())
    attribute.ints.pop_back();
  else if (!attribute.ints.empty())
    attribute.ints[random.below(attribute.ints.size())] = nasty(random);
  for (auto& tensor : attribute.tensors)
    if (tensor.value.defined() && tensor.value.numel() > 0)
      tensor.value = Tensor::full(tensor.value.shape(), static_cast<double>(random.below(5)) - 2,
                                  {.dtype = tensor.value.dtype()});
}

// Models with damaged attributes, inputs, opsets and numbers are refused or run; nothing else is
// ever thrown. GRAFT_DAMAGE_ROUNDS: how often each case is tried (default 3).
TEST(OnnxCases, DamagedModelsAreRefusedOrRun) {
  const auto cases = read_packed_cases(GRAFT_TEST_DATA "/graphs/node_cases.npz");
  const char* rounds = std::getenv("GRAFT_DAMAGE_ROUNDS");
  const int64_t count = rounds ? std::atoll(rounds) : 3;
  int64_t refused = 0, run = 0;
  for (int64_t round = 0; round < count; ++round)
    for (size_t c = 0; c < cases.size(); ++c) {
      io::onnx::Model model = io::onnx::parse_model(cases[c].model, cases[c].name);
      CountedRandom random(7, RandomPurpose::synthetic, static_cast<uint64_t>(round), c);
      for (uint64_t times = random.below(2) + 1; times > 0; --times) damage(model, random);
      if (rounds)
        std::fprintf(stderr, "%s %lld\n", cases[c].name.c_str(), static_cast<long long>(round));
      OnnxCase test = cases[c];
      auto& inputs = test.sets.at(0).inputs;
      if (!inputs.empty() && random.below(3) == 0)
        inputs[random.below(inputs.size())] = inputs[random.below(inputs.size())];
      const CaseResult result = run_case(test, model);
      ++(result.verdict == Verdict::unsupported ? refused : run);
      EXPECT_EQ(result.reason.find("exception:"), std::string::npos)
          << test.name << " round " << round << ": " << result.reason;
      EXPECT_EQ(result.reason.find("graft bug"), std::string::npos)
          << test.name << " round " << round << ": " << result.reason;
    }
  EXPECT_GT(refused, 300);
  EXPECT_GT(run, 300);
}

}  // namespace
}  // namespace graft::test
