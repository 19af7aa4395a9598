#include "graft/tests/support/onnx_case.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <map>

#include "graft/core/autograd/record.h"
#include "graft/core/base/file_system.h"
#include "graft/models/graph/graph_module.h"

namespace graft::test {
namespace {

bool close(double actual, double expected, const OnnxCase& test) {
  if (std::isnan(actual) || std::isnan(expected)) return std::isnan(actual) && std::isnan(expected);
  if (actual == expected) return true;
  return std::abs(actual - expected) <= test.atol + test.rtol * std::abs(expected);
}

// Why `actual` is not `expected`; "" when it is.
std::string difference(const Tensor& actual, const Tensor& expected, const OnnxCase& test) {
  if (actual.shape() != expected.shape()) return str("shape ", actual.shape(), ", expected ", expected.shape());
  if (actual.dtype() != expected.dtype()) return str("type ", name_of(actual.dtype()), ", expected ", name_of(expected.dtype()));
  const std::vector<double> a = actual.to_doubles(), e = expected.to_doubles();
  for (size_t i = 0; i < a.size(); ++i)
    if (!close(a[i], e[i], test)) return str("element ", i, " is ", a[i], ", expected ", e[i]);
  return "";
}

std::vector<Tensor> tensors_of(const std::vector<OnnxCase::Bytes>& files) {
  std::vector<Tensor> tensors;
  for (const auto& file : files) tensors.push_back(file.empty() ? Tensor() : io::onnx::parse_tensor(file, "tensor").value);
  return tensors;
}

CaseResult run_checked(const OnnxCase& test) {
  const NoGradGuard no_grad;
  models::GraphModule module(models::read_graph(io::onnx::parse_model(test.model, test.name)));
  module.train(false);
  for (const auto& set : test.sets) {
    const auto outputs = module.run(tensors_of(set.inputs));
    const auto expected = tensors_of(set.outputs);
    for (size_t i = 0; i < std::min(outputs.size(), expected.size()); ++i)
      if (const std::string reason = difference(outputs[i], expected[i], test); !reason.empty()) return {Verdict::failed, str("output ", i, ": ", reason)};
  }
  return {};
}

std::vector<OnnxCase::Bytes> numbered(const std::string& folder, const char* kind) {
  std::vector<OnnxCase::Bytes> files;
  for (int i = 0;; ++i) {
    const std::string path = str(folder, "/", kind, "_", i, ".pb");
    if (!file_system().exists(path)) return files;
    files.push_back(read_file(path, int64_t{1} << 30));
  }
}

// Puts "input_3.pb" at place 3.
void place(std::vector<OnnxCase::Bytes>& files, const std::string& number, OnnxCase::Bytes bytes) {
  const auto index = static_cast<size_t>(std::stoi(number));
  if (files.size() <= index) files.resize(index + 1);
  files[index] = std::move(bytes);
}

}  // namespace

OnnxCase read_case(const std::string& folder) {
  OnnxCase test;
  test.name = folder.substr(folder.rfind('/') + 1);
  test.model = read_file(folder + "/model.onnx", int64_t{1} << 30);
  for (int i = 0; file_system().exists(str(folder, "/test_data_set_", i)); ++i) {
    const std::string set = str(folder, "/test_data_set_", i);
    test.sets.push_back({numbered(set, "input"), numbered(set, "output")});
  }
  if (file_system().exists(folder + "/tolerance")) {
    const auto bytes = read_file(folder + "/tolerance", 4096);
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    test.rtol = std::stod(text.substr(0, text.find(' ')));
    test.atol = std::stod(text.substr(text.find(' ') + 1));
  }
  return test;
}

std::vector<OnnxCase> read_packed_cases(const std::string& path) {
  std::map<std::string, OnnxCase> cases;
  for (const auto& [name, tensor] : io::read_weights(path).tensors) {
    const size_t slash = name.find('/');
    GRAFT_CHECK(slash != std::string::npos, path, ": an array named ", name);
    OnnxCase& test = cases[name.substr(0, slash)];
    test.name = name.substr(0, slash);
    const std::string file = name.substr(slash + 1);
    if (file == "tolerance") {
      test.rtol = tensor.to_doubles().at(0);
      test.atol = tensor.to_doubles().at(1);
      continue;
    }
    OnnxCase::Bytes bytes(static_cast<size_t>(tensor.bytes()));
    std::memcpy(bytes.data(), tensor.raw(), bytes.size());
    if (file == "model.onnx") {
      test.model = std::move(bytes);
      continue;
    }
    const std::string set_number = file.substr(14, file.find('/') - 14), kind_and_number = file.substr(file.find('/') + 1);
    const auto set = static_cast<size_t>(std::stoi(set_number));
    if (test.sets.size() <= set) test.sets.resize(set + 1);
    const size_t line = kind_and_number.rfind('_');
    place(kind_and_number.starts_with("input") ? test.sets[set].inputs : test.sets[set].outputs, kind_and_number.substr(line + 1), std::move(bytes));
  }
  std::vector<OnnxCase> result;
  for (auto& [name, test] : cases) result.push_back(std::move(test));
  return result;
}

CaseResult run_case(const OnnxCase& test) {
  try {
    return run_checked(test);
  } catch (const Error& error) {
    return {Verdict::unsupported, error.what()};
  } catch (const std::exception& error) {
    return {Verdict::failed, str("exception: ", error.what())};
  }
}

}  // namespace graft::test
