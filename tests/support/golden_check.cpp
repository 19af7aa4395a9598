// expect_golden: PyTorch's forward and gradients, stored by tests/data/ops/make_goldens.py under
// the case's name.
#include <algorithm>
#include <map>

#include "graft/io/weights/weights.h"
#include "graft/tests/support/op_case.h"

namespace graft::test {
namespace {

const StateDict& golden_file(const std::string& name) {
  static std::map<std::string, StateDict> files;
  const auto found = files.find(name);
  if (found != files.end()) return found->second;
  return files[name] = io::read_weights(std::string(GRAFT_TEST_DATA "/ops/") + name).tensors;
}

// The inputs were made in float32, PyTorch ran in float64.
void compare(const OpCase& op, const StateDict& golden, DType dtype, MemoryFormat format,
             double tolerance) {
  const std::string what = str(op.name, " in ", name_of(dtype), ", ", name_of(format));
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const Tensor stored = golden.find(str(op.name, ".in", i));
    ASSERT_TRUE(stored.defined()) << what << ": no stored input " << i;
    ASSERT_EQ(stored.shape(), op.inputs[i].shape) << what << ": input " << i;
    if (op.inputs[i].role == Role::labels)
      inputs.push_back(stored);
    else
      inputs.push_back(op.inputs[i].role == Role::activation ? stored.to(dtype).to(format).clone()
                                                             : stored.to(dtype).clone());
  }
  const OpResult result = run_op(op, inputs, golden.find(op.name + ".dy"));
  for (size_t i = 0; i < result.outputs.size(); ++i) {
    const Tensor expected = golden.find(str(op.name, ".out", i));
    ASSERT_TRUE(expected.defined()) << what << ": no stored output " << i;
    EXPECT_EQ(result.tensors[i].shape(), expected.shape()) << what << ": output " << i;
    EXPECT_LE(relative_error(result.outputs[i], expected.to_doubles()), tolerance)
        << what << ": output " << i;
  }
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const Tensor expected = golden.find(str(op.name, ".grad", i));
    ASSERT_EQ(expected.defined(), op.inputs[i].gradient) << what << ": stored gradient " << i;
    if (!expected.defined()) continue;
    EXPECT_LE(relative_error(result.gradients[i], expected.to_doubles()), tolerance)
        << what << ": gradient of input " << i;
  }
}

}  // namespace

void expect_golden(const OpCase& op, const std::string& file) {
  if (!op.golden) return;
  const StateDict& golden = golden_file(file);
  for (const auto format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
    compare(op, golden, DType::f64, format, 1e-11);
    compare(op, golden, DType::f32, format, op.f32_tolerance);
  }
}

void expect_no_stale_goldens(std::span<const OpCase> cases, const std::string& file) {
  if (file.empty()) return;
  for (const auto& [name, tensor] : golden_file(file)) {
    const std::string stored = name.substr(0, name.find('.'));
    EXPECT_TRUE(std::any_of(cases.begin(), cases.end(),
                            [&](const OpCase& op) { return op.golden && op.name == stored; }))
        << file << " holds " << stored << ", which no case has";
  }
}

}  // namespace graft::test
