// --device and --autotune: where and how a verb computes.
#pragma once
#include <string>

#include "graft/core/tensor/device.h"

namespace CLI {
class App;
}

namespace graft::tools {

struct DeviceFlags {
  std::string name = "auto";
  bool autotune = false;
};

// Adds --device auto|cpu|cuda:N, anything else is a usage error, and --autotune.
void add_device_flags(CLI::App& verb, DeviceFlags& device);

// The device, open, for a --precision: int8 is the CPU's, fp16 a CUDA device's; with a device that
// was named and cannot do it that is a usage error. auto: the first CUDA device when it can be
// used, said in a note, else the CPU. Error(resource) in one sentence when a device that was named
// cannot be used here. `only_cpu`, when not empty, says why it must be the CPU. --autotune on the
// CPU is a usage error.
Device open_named_device(const DeviceFlags& flags, const std::string& precision,
                         std::string only_cpu = "");

}  // namespace graft::tools
