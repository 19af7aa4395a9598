#include "graft/tools/device.h"

#include <CLI/CLI.hpp>

#include "graft/core/base/error.h"
#include "graft/kernels/devices.h"
#include "graft/tools/output.h"

namespace graft::tools {
namespace {

constexpr std::string_view kCudaPrefix = "cuda:";

// Up to three digits; -1 for another text.
int cuda_index(const std::string& name) {
  const std::string digits = name.starts_with(kCudaPrefix) ? name.substr(kCudaPrefix.size()) : "";
  const bool plain = !digits.empty() && digits.size() <= 3 && digits.find_first_not_of("0123456789") == std::string::npos;
  return plain ? std::stoi(digits) : -1;
}

}  // namespace

void add_device_flag(CLI::App& verb, std::string& device) {
  verb.add_option("--device", device, "auto (a CUDA device that can be used, else the CPU), cpu, or cuda:0 and so on")
      ->check([](const std::string& name) { return name == "auto" || name == "cpu" || cuda_index(name) >= 0 ? std::string() : name + " is none of auto, cpu, cuda:0"; })
      ->type_name("NAME");
}

Device open_named_device(const std::string& name, const std::string& precision, std::string only_cpu) {
  if (precision == "int8") only_cpu = "--precision int8 is the CPU's";
  Device device;
  if (name == "auto") {
    if (only_cpu.empty() && cuda_is_usable()) device.type = DeviceType::cuda;
  } else if (name != "cpu") {
    if (!only_cpu.empty()) fail(ErrorCode::usage, "--device ", name, ": ", only_cpu);
    device = {DeviceType::cuda, cuda_index(name)};
  }
  open_device(device);
  if (device.type == DeviceType::cpu && precision == "fp16")
    fail(ErrorCode::usage, "--precision fp16 is for a CUDA device; the CPU computes in fp32 or bf16");
  if (name == "auto" && device.type == DeviceType::cuda) say("note: computing on ", describe_cuda());
  return device;
}

}  // namespace graft::tools
