// The fixed workloads whose instructions tools/instruction_counts.sh counts: what a workload is and
// where they are made.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace graft::instructions {

// Called once, prepares everything that is not to be counted and returns what is.
using Prepare = std::function<std::function<void()>()>;

struct NamedWorkload {
  std::string name;
  Prepare prepare;
};

std::vector<NamedWorkload> network_workloads();
std::vector<NamedWorkload> image_workloads();

// A model of graft for what is counted through the command.
void save_small_model(const std::string& path);

}  // namespace graft::instructions
