// How much memory this process can still have: what the machine has free, and what the control
// groups that it is in (containers, systemd slices; version 1 and 2) leave it.
#pragma once
#include <cstdint>
#include <string>

#include "graft/core/base/export.h"

namespace graft {

struct AvailableMemory {
  int64_t bytes = 0;    // 0: the system does not say
  std::string bound{};  // what it is bounded by: "the machine", "the cgroup limit PATH"
};

// `root` stands in front of /proc and of the control groups' mount points: for tests.
GRAFT_API AvailableMemory available_memory(const std::string& root = "");

}  // namespace graft
