// Where the time of a workload's steps goes, kernel by kernel.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace graft {
class ExecContext;
}

namespace graft::tools {

class Workload;

// Runs `steps` steps. {"ms", "outside_ms", "kernels": [{"op", "kernel", "shape", "calls", "ms",
// "share", "gflops"}], "ops": the same summed over shapes}, all of one step, longest first; gflops
// is null where multiply-adds are not counted. Where kernels run others inside of them, their times
// count twice.
nlohmann::ordered_json profile_of(ExecContext& context, Workload& workload, int64_t steps);
// As tables of lines.
std::string profile_text(const nlohmann::ordered_json& profile);

}  // namespace graft::tools
