// graft run: any ONNX graph on given inputs; every output as an .npy.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "graft/core/autograd/record.h"
#include "graft/core/base/checked_math.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/io/weights/formats.h"
#include "graft/models/graph/graph_module.h"
#include "graft/tools/device.h"
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

// From here on the process gets `bytes` more from the system, or 0: what programs can still have by
// MemAvailable. Then allocations fail, an Error(resource), where otherwise the kernel would end the
// process.
void limit_memory(uint64_t bytes) {
  if (bytes == 0) bytes = kernel_count("/proc/meminfo", "MemAvailable:");
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

int run_graph(const RunFlags& flags) {
  ExecContext context(flags.threads);
  const ScopedExecContext scope(context);
  const NoGradGuard no_grad;
  const Device device = open_named_device(flags.device, "fp32");
  if (is_cpu(device) || flags.max_memory > 0) limit_memory(flags.max_memory);
  const models::GraphSource source = models::read_graph(io::onnx::read_model(flags.model));
  for (const std::string& note : source.notes) say("note: ", note);
  models::GraphModule module(source);
  module.train(false);
  module.to(device);
  std::vector<Tensor> inputs = read_inputs(flags, module.inputs());
  for (Tensor& input : inputs) input = models::input_on(input, device);
  std::vector<Tensor> outputs = module.run(inputs);
  for (Tensor& output : outputs) output = to_device(output, {});
  file_system().create_directories(flags.output);
  std::string text;
  nlohmann::ordered_json written = nlohmann::ordered_json::array();
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::string name = module.outputs()[i];
    std::replace(name.begin(), name.end(), '/', '_');
    const std::string path = join_path(flags.output, name + ".npy");
    io::write_npy(path, outputs[i].dtype() == DType::bf16 ? outputs[i].to(DType::f32)
                                                          : outputs[i]);  // NPY has no bfloat16
    const Shape& shape = outputs[i].shape();
    text += str(path, "  ", std::string(name_of(outputs[i].dtype())), " ", shape, "\n");
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
  auto* verb = app.add_subcommand("run", "Run any ONNX graph on given tensors");
  auto f = std::make_shared<RunFlags>();
  verb->add_option("MODEL", f->model, "An .onnx file")->required();
  verb->add_option("--input", f->inputs,
                   "An input's tensor, .npy or ONNX's .pb; of a graph with one input FILE alone")
      ->type_name("NAME=FILE");
  verb->add_option("--output", f->output,
                   "Folder for one NAME.npy per output ('/' in a name becomes '_')")
      ->required()
      ->type_name("DIR");
  add_device_flags(*verb, f->device);
  verb->add_option("--threads", f->threads, "Compute threads (0: one per core)")
      ->check(CLI::Range(0, 1024))
      ->type_name("N");
  verb->add_option("--max-memory", f->max_memory,
                   "The most memory that the graph may take, with K, M or G behind the number (0: "
                   "what the machine has free); one that needs more leaves with code 4. On a CUDA "
                   "device: the host's memory, and only when it is given")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE");
  verb->add_flag("--json", f->json,
                 "One JSON document on stdout: each output's name, file, dtype and shape");
  verb->footer("Example:\n  graft run model.onnx --input data=x.npy --output out");
  verb->callback([&action, f] { action = [f] { return run_graph(*f); }; });
}

}  // namespace graft::tools
