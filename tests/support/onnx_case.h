// OnnxCase: one of ONNX's backend test cases: a model, inputs and expected outputs, run through
// models::GraphModule.
#pragma once
#include <string>
#include <vector>

#include "graft/core/tensor/tensor.h"
#include "graft/io/onnx/model.h"
#include "graft/io/weights/weights.h"

namespace graft::test {

struct OnnxCase {
  using Bytes = std::vector<std::byte>;
  struct DataSet {
    std::vector<Bytes> inputs, outputs;  // TensorProtos
  };
  std::string name;
  Bytes model;
  std::vector<DataSet> sets;
  double rtol = 1e-3, atol = 1e-7;  // as numpy.allclose has them
};

// FOLDER/model.onnx, test_data_set_K/{input,output}_J.pb and, when it is there, "tolerance": rtol
// and atol.
OnnxCase read_case(const std::string& folder);
// The cases of a packed .npz: an array of bytes a case, a line "PATH SIZE" for each of these files,
// an empty line, and the files behind each other.
std::vector<OnnxCase> read_packed_cases(const std::string& path);

enum class Verdict { passed, failed, unsupported };
struct CaseResult {
  Verdict verdict = Verdict::passed;
  std::string reason;  // why it did not pass
};
// On a device, or the host. unsupported: graft refuses the model or its inputs; failed: it gives
// other numbers.
CaseResult run_case(const OnnxCase& test, Device device = {});
// The same with another model in place of the case's own.
CaseResult run_case(const OnnxCase& test, const io::onnx::Model& model);

}  // namespace graft::test
