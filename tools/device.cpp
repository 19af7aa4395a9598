#include "graft/tools/device.h"

#include <CLI/CLI.hpp>

#include "graft/core/base/error.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/kernels/devices.h"
#include "graft/tools/output.h"

namespace graft::tools {
namespace {

constexpr std::string_view kCudaPrefix = "cuda:";

// Up to three digits; -1 for another text.
int cuda_index(const std::string& name) {
  const std::string digits = name.starts_with(kCudaPrefix) ? name.substr(kCudaPrefix.size()) : "";
  const bool plain = !digits.empty() && digits.size() <= 3 &&
                     digits.find_first_not_of("0123456789") == std::string::npos;
  return plain ? std::stoi(digits) : -1;
}

}  // namespace

void add_device_flags(CLI::App& verb, DeviceFlags& device) {
  verb.add_option("--device", device.name,
                  "auto (a CUDA device that can be used, else the CPU), cpu, or cuda:0 and so on")
      ->check([](const std::string& name) {
        return name == "auto" || name == "cpu" || cuda_index(name) >= 0
                   ? std::string()
                   : name + " is none of auto, cpu, cuda:0";
      })
      ->type_name("NAME");
  verb.add_flag("--autotune", device.autotune,
                "On a CUDA device: measures cuDNN's ways of each convolution and takes the "
                "fastest; remembered for later runs");
}

Device open_named_device(const DeviceFlags& flags, const std::string& precision,
                         std::string only_cpu) {
  const std::string& name = flags.name;
  if (precision == "int8") only_cpu = "--precision int8 is the CPU's";
  Device device;
  if (name == "auto") {
    if (only_cpu.empty() && cuda_is_usable()) device.type = DeviceType::cuda;
  } else if (name != "cpu") {
    if (!only_cpu.empty()) fail(ErrorCode::usage, "--device ", name, ": ", only_cpu);
    device = {DeviceType::cuda, cuda_index(name)};
  }
  if (flags.autotune && is_cpu(device))
    fail(ErrorCode::usage,
         "--autotune measures cuDNN's ways of a convolution on a CUDA device; this runs on the CPU",
         only_cpu.empty() ? "" : ": ", only_cpu);
  open_device(device, {.autotune = flags.autotune});
  if (device.type == DeviceType::cpu && precision == "fp16")
    fail(ErrorCode::usage,
         "--precision fp16 is for a CUDA device; the CPU computes in fp32 or bf16");
  if (name == "auto" && device.type == DeviceType::cuda)
    say("note: computing on ", describe_cuda());
  return device;
}

}  // namespace graft::tools
