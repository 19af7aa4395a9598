// ONNX's own node cases, a small packed part of them: tests/conformance/run_node_cases.py runs all.
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace graft::test
