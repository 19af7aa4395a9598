#include "graft/tests/support/onnx_case.h"

#include <cmath>

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
  if (actual.shape() != expected.shape())
    return str("shape ", actual.shape(), ", expected ", expected.shape());
  if (actual.dtype() != expected.dtype())
    return str("type ", name_of(actual.dtype()), ", expected ", name_of(expected.dtype()));
  const std::vector<double> a = actual.to_doubles(), e = expected.to_doubles();
  for (size_t i = 0; i < a.size(); ++i)
    if (!close(a[i], e[i], test)) return str("element ", i, " is ", a[i], ", expected ", e[i]);
  return "";
}

std::vector<Tensor> tensors_of(const std::vector<OnnxCase::Bytes>& files) {
  std::vector<Tensor> tensors;
  for (const auto& file : files)
    tensors.push_back(file.empty() ? Tensor() : io::onnx::parse_tensor(file, "tensor").value);
  return tensors;
}

CaseResult run_checked(const OnnxCase& test, const io::onnx::Model& model, Device device) {
  const NoGradGuard no_grad;
  models::GraphModule module(models::read_graph(model));
  module.train(false);
  module.to(device);
  for (const auto& set : test.sets) {
    std::vector<Tensor> inputs = tensors_of(set.inputs);
    for (Tensor& input : inputs) input = models::input_on(input, device);
    const auto outputs = module.run(inputs);
    const auto expected = tensors_of(set.outputs);
    for (size_t i = 0; i < std::min(outputs.size(), expected.size()); ++i)
      if (const std::string reason = difference(outputs[i], expected[i], test); !reason.empty())
        return {Verdict::failed, str("output ", i, ": ", reason)};
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

// "1e-3 1e-7".
void read_tolerance(OnnxCase& test, const OnnxCase::Bytes& bytes) {
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  test.rtol = std::stod(text.substr(0, text.find(' ')));
  test.atol = std::stod(text.substr(text.find(' ') + 1));
}

// Puts a file by its path within a case: "test_data_set_0/input_3.pb".
void put_file(OnnxCase& test, const std::string& file, OnnxCase::Bytes bytes) {
  if (file == "tolerance") return read_tolerance(test, bytes);
  if (file == "model.onnx") {
    test.model = std::move(bytes);
    return;
  }
  const auto set = static_cast<size_t>(std::stoi(file.substr(14)));
  const auto index = static_cast<size_t>(std::stoi(file.substr(file.rfind('_') + 1)));
  if (test.sets.size() <= set) test.sets.resize(set + 1);
  auto& files =
      file.find("/input_") != std::string::npos ? test.sets[set].inputs : test.sets[set].outputs;
  if (files.size() <= index) files.resize(index + 1);
  files[index] = std::move(bytes);
}

}  // namespace

OnnxCase read_case(const std::string& folder) {
  OnnxCase test;
  test.name = folder.substr(folder.rfind('/') + 1);
  const auto read = [](const std::string& path) { return read_file(path, int64_t{1} << 30); };
  test.model = read(folder + "/model.onnx");
  for (int i = 0; file_system().exists(str(folder, "/test_data_set_", i)); ++i) {
    const std::string set = str(folder, "/test_data_set_", i);
    test.sets.push_back({numbered(set, "input"), numbered(set, "output")});
  }
  if (file_system().exists(folder + "/tolerance"))
    read_tolerance(test, read(folder + "/tolerance"));
  return test;
}

std::vector<OnnxCase> read_packed_cases(const std::string& path) {
  std::vector<OnnxCase> cases;
  for (const auto& [name, tensor] : io::read_weights(path).tensors) {
    const auto* data = static_cast<const std::byte*>(tensor.raw());
    const std::string text(reinterpret_cast<const char*>(data),
                           static_cast<size_t>(tensor.bytes()));
    const size_t table_end = text.find("\n\n");
    GRAFT_CHECK(table_end != std::string::npos, path, ": ", name, " has no table");
    OnnxCase& test = cases.emplace_back();
    test.name = name;
    size_t at = table_end + 2;
    for (size_t line = 0; line <= table_end;) {
      const size_t end = text.find('\n', line), blank = text.rfind(' ', end);
      const std::string file = text.substr(line, blank - line);
      const auto size = static_cast<size_t>(std::stoll(text.substr(blank + 1, end - blank - 1)));
      GRAFT_CHECK(at + size <= text.size(), path, ": ", name, " is cut off");
      put_file(test, file, OnnxCase::Bytes(data + at, data + at + size));
      at += size;
      line = end + 1;
    }
  }
  return cases;
}

namespace {

template <class F>
CaseResult verdict_of(F&& run) {
  try {
    return run();
  } catch (const Error& error) {
    return {Verdict::unsupported, error.what()};
  } catch (const std::exception& error) {
    return {Verdict::failed, str("exception: ", error.what())};
  }
}

}  // namespace

CaseResult run_case(const OnnxCase& test, Device device) {
  return verdict_of(
      [&] { return run_checked(test, io::onnx::parse_model(test.model, test.name), device); });
}

CaseResult run_case(const OnnxCase& test, const io::onnx::Model& model) {
  return verdict_of([&] { return run_checked(test, model, {}); });
}

}  // namespace graft::test
