// graft run: any ONNX graph, PyTorch export or Keras model on given inputs; every output as an
// .npy.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "graft/core/autograd/record.h"
#include "graft/core/base/checked_math.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/machine_memory.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/io/weights/formats.h"
#include "graft/models/described_graph.h"
#include "graft/models/graph/graph_module.h"
#include "graft/tools/device.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/output.h"
#include "graft/tools/verbs.h"

namespace graft::tools {
namespace {

struct RunFlags {
  std::string model, output;
  std::vector<std::string> inputs;
  DeviceFlags device{.name = "cpu"};
  int threads = 0;
  uint64_t max_memory = 0;
  bool json = false;
};

// A line of a file of Linux' /proc that counts kB, in bytes; 0 when there is none.
uint64_t kernel_count(const char* file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key)) return std::strtoull(line.c_str() + key.size(), nullptr, 10) * 1024;
  return 0;
}

// From here on the process gets `bytes` more from the system, or 0: what machine and control groups
// leave it. Then allocations fail, an Error(resource), where otherwise the kernel would end the
// process.
void limit_memory(uint64_t bytes) {
  if (bytes == 0) bytes = static_cast<uint64_t>(available_memory().bytes);
  const uint64_t used = kernel_count("/proc/self/status", "VmData:");
  rlimit limit{};
  if (bytes == 0 || ::getrlimit(RLIMIT_DATA, &limit) != 0) return;
  limit.rlim_cur = std::min<uint64_t>(
      limit.rlim_max,
      checked_add(static_cast<int64_t>(used),
                  static_cast<int64_t>(std::min<uint64_t>(bytes, int64_t{1} << 46))));
  ::setrlimit(RLIMIT_DATA, &limit);
}

Tensor read_tensor(const std::string& path) {
  return path.ends_with(".pb") ? io::onnx::read_tensor(path).value : io::read_npy(path);
}

// "NAME=FILE", in the graph's order. With one input the name may be left out.
std::vector<Tensor> read_inputs(const RunFlags& flags,
                                const std::vector<models::GraphInput>& wanted) {
  std::vector<Tensor> tensors(wanted.size());
  for (const std::string& given : flags.inputs) {
    const size_t equals = given.rfind('=');
    const std::string name = equals == std::string::npos ? "" : given.substr(0, equals),
                      path = equals == std::string::npos ? given : given.substr(equals + 1);
    if (name.empty() && wanted.size() != 1)
      fail(ErrorCode::usage, "--input ", given, ": the graph has ", wanted.size(),
           " inputs; write NAME=FILE");
    bool known = false;
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (!name.empty() && wanted[i].name != name) continue;
      known = true;
      tensors[i] = read_tensor(path);
      GRAFT_CHECK(tensors[i].defined() && tensors[i].dtype() == wanted[i].dtype, path, ": holds ",
                  tensors[i].defined() ? std::string(name_of(tensors[i].dtype())) : "no numbers",
                  ", the input '", wanted[i].name, "' is ", name_of(wanted[i].dtype));
    }
    std::vector<std::string> names;
    for (const auto& input : wanted) names.push_back(input.name);
    GRAFT_CHECK(known, flags.model, ": has no input '", name, "'; its inputs are ", join(names));
  }
  for (size_t i = 0; i < wanted.size(); ++i)
    GRAFT_CHECK(tensors[i].defined(), flags.model, ": its input '", wanted[i].name,
                "' is not given");
  return tensors;
}

// NAME.npy of each output, before any work: '/' becomes '_', and no two may then be one.
std::vector<std::string> files_of(const std::vector<std::string>& outputs,
                                  const std::string& model) {
  constexpr size_t kMostBytes = 255;  // of a file's name, on the usual file systems
  std::map<std::string, std::string> owners;
  std::vector<std::string> files;
  for (const std::string& output : outputs) {
    std::string file = output + ".npy";
    std::replace(file.begin(), file.end(), '/', '_');
    GRAFT_CHECK(file.find('\0') == std::string::npos, model, ": its output '", printable(output),
                "' has a zero byte in its name, so no file can be called so");
    GRAFT_CHECK(file.size() <= kMostBytes, model, ": the name of its output '",
                output.substr(0, 40), "...' is too long for a file (", output.size(), " bytes)");
    const auto [owner, is_first] = owners.emplace(file, output);
    GRAFT_CHECK(is_first, model, ": its outputs '", owner->second, "' and '", output,
                "' would be written to one file, ", file);
    files.push_back(file);
  }
  return files;
}

int run_graph(const RunFlags& flags) {
  ExecContext context(flags.threads);
  const ScopedExecContext scope(context);
  const NoGradGuard no_grad;
  const Device device = open_named_device(flags.device, "fp32");
  if (is_cpu(device) || flags.max_memory > 0) limit_memory(flags.max_memory);
  const models::GraphSource source = models::read_graph(models::read_graph_file(flags.model));
  for (const std::string& note : source.notes) say("note: ", note);
  models::GraphModule module(source);
  module.train(false);
  module.to(device);
  std::vector<std::string> files = files_of(module.outputs(), flags.model);
  std::vector<Tensor> inputs = read_inputs(flags, module.inputs());
  for (Tensor& input : inputs) input = models::input_on(input, device);
  const bool is_new = !file_system().exists(flags.output);
  file_system().create_directories(flags.output);
  for (std::string& file : files) {
    file = join_path(flags.output, file);
    check_writable(file);
  }
  std::vector<Tensor> outputs;
  try {
    outputs = module.run(inputs);
  } catch (...) {  // nothing is left of a run that failed
    std::error_code ignored;
    if (is_new) std::filesystem::remove(flags.output, ignored);
    throw;
  }
  for (Tensor& output : outputs) output = to_device(output, {});
  std::string text;
  nlohmann::ordered_json written = nlohmann::ordered_json::array();
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string& path = files[i];
    io::write_npy(path, outputs[i].dtype() == DType::bf16 ? outputs[i].to(DType::f32)
                                                          : outputs[i]);  // NPY has no bfloat16
    const Shape& shape = outputs[i].shape();
    text += str(printable(path), "  ", std::string(name_of(outputs[i].dtype())), " ", shape, "\n");
    written.push_back({{"name", module.outputs()[i]},
                       {"file", path},
                       {"dtype", std::string(name_of(outputs[i].dtype()))},
                       {"shape", std::vector<int64_t>(shape.begin(), shape.end())}});
  }
  if (flags.json)
    result(nlohmann::ordered_json{
        {"model", flags.model}, {"notes", source.notes}, {"outputs", written}});
  else
    result(text);
  return 0;
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "run", "Run any graph on given tensors: ONNX, a PyTorch export, a Keras or TensorFlow model");
  auto f = std::make_shared<RunFlags>();
  verb->add_option("MODEL", f->model,
                   "An .onnx, .pt2, .tflite, .keras or .h5 file, or a SavedModel's folder")
      ->required();
  verb->add_option("--input", f->inputs,
                   "An input's tensor, .npy or ONNX's .pb; of a graph with one input FILE alone")
      ->type_name("NAME=FILE");
  verb->add_option("--output", f->output,
                   "Folder for one NAME.npy per output ('/' in a name becomes '_')")
      ->required()
      ->type_name("DIR");
  add_device_flags(*verb, f->device);
  verb->add_option("--threads", f->threads, "Compute threads (0: one per core)")
      ->transform(whole_number(0, 1024))
      ->type_name("N");
  verb->add_option("--max-memory", f->max_memory,
                   "The most memory that the graph may take, with K, M or G behind the number (0: "
                   "what the machine, or the control group of a container, has free); one that "
                   "needs more leaves with code 4. On a CUDA "
                   "device: the host's memory, and only when it is given")
      ->transform(size_in_bytes(0))
      ->type_name("SIZE");
  verb->add_flag("--json", f->json,
                 "One JSON document on stdout: each output's name, file, dtype and shape");
  verb->footer("Example:\n  graft run model.onnx --input data=x.npy --output out");
  verb->callback([&action, f] { action = [f] { return run_graph(*f); }; });
}

}  // namespace graft::tools
