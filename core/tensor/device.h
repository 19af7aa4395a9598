// Where a tensor's bytes live.
#pragma once
#include <string>

#include "graft/core/base/text.h"

namespace graft {

enum class DeviceType : unsigned char { cpu, cuda };

struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;

  bool operator==(const Device&) const = default;
  std::string to_string() const { return type == DeviceType::cpu ? "cpu" : str("cuda:", index); }
};

}  // namespace graft
