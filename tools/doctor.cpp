// graft doctor: what this build and this machine have.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "graft/core/base/machine_memory.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/kernels/devices.h"
#include "graft/tools/hdf5_reader.h"
#include "graft/tools/output.h"
#include "graft/tools/verbs.h"

namespace graft::tools {
namespace {

nlohmann::ordered_json examine() {
  nlohmann::ordered_json found = nlohmann::ordered_json::object();
  found["graft"] = GRAFT_VERSION;
  found["compiler"] = __VERSION__;
#if defined(__SANITIZE_ADDRESS__)
  found["sanitizer"] = "address";
#elif defined(__SANITIZE_THREAD__)
  found["sanitizer"] = "thread";
#endif
  found["instruction_set_of_machine"] = std::string(name_of(machine_instruction_set()));
  found["instruction_set_in_use"] = std::string(name_of(default_instruction_set()));
  found["threads"] = current_context().threads();
  const AvailableMemory memory = available_memory();
  found["memory"] = memory.bytes == 0 ? std::string("unknown")
                                      : str(thousands(memory.bytes >> 20), " MiB free, bounded by ",
                                            memory.bound);
  found["backends"] = {"cpu"};
  found["cuda"] = describe_cuda();
  found["hdf5"] = hdf5_state();
  found["json"] = str(NLOHMANN_JSON_VERSION_MAJOR, ".", NLOHMANN_JSON_VERSION_MINOR, ".",
                      NLOHMANN_JSON_VERSION_PATCH);
  found["cli11"] = CLI11_VERSION;
  return found;
}

int doctor(bool json) {
  const auto found = examine();
  if (json) {
    result(found);
    return 0;
  }
  for (const auto& [key, value] : found.items()) {
    std::string name = key;
    std::replace(name.begin(), name.end(), '_', ' ');
    name.resize(28, ' ');
    result(str(name, value.is_string() ? value.get<std::string>() : value.dump(), "\n"));
  }
  return 0;
}

}  // namespace

void add_doctor(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "doctor", "What this build and machine have: instruction sets, backends, versions");
  auto json = std::make_shared<bool>(false);
  verb->add_flag("--json", *json, "One JSON document on stdout");
  verb->footer(
      "Example:\n  graft doctor\nGRAFT_ISA=portable|avx2|avx512 and GRAFT_THREADS=N change what is "
      "used.");
  verb->callback([&action, json] { action = [json] { return doctor(*json); }; });
}

}  // namespace graft::tools
