#include "graft/tools/bench_profile.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "graft/core/runtime/exec_context.h"
#include "graft/tools/bench_workload.h"
#include "graft/tools/output.h"

namespace graft::tools {
namespace {

struct Spent {
  int64_t calls = 0;
  double seconds = 0, multiply_adds = 0;
};
using Key = std::array<std::string, 3>;  // op and pass, kernel, shapes

nlohmann::ordered_json rows_of(const std::map<Key, Spent>& spent, int64_t steps, double total) {
  std::vector<std::pair<Key, Spent>> rows(spent.begin(), spent.end());
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.second.seconds > b.second.seconds;
  });
  nlohmann::ordered_json table = nlohmann::ordered_json::array();
  for (const auto& [key, s] : rows) {
    nlohmann::ordered_json row = {{"op", key[0]}, {"kernel", key[1]}};
    row["shape"] = key[2];
    row["calls"] = static_cast<double>(s.calls) / static_cast<double>(steps);
    row["ms"] = s.seconds * 1e3 / static_cast<double>(steps);
    row["share"] = s.seconds / total;
    row["gflops"] = s.multiply_adds > 0 ? nlohmann::ordered_json(2e-9 * s.multiply_adds / s.seconds)
                                        : nlohmann::ordered_json(nullptr);
    table.push_back(std::move(row));
  }
  return table;
}

std::string right_aligned(const std::string& text, size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

}  // namespace

nlohmann::ordered_json profile_of(ExecContext& context, Workload& workload, int64_t steps) {
  std::map<Key, Spent> by_shape, by_op;
  double inside = 0;
  context.set_kernel_observer([&](const ExecContext::KernelRun& run) {
    const std::string op(run.pass), kernel(run.kernel);
    for (Spent* s : {&by_shape[{op, kernel, run.arguments}], &by_op[{op, kernel, ""}]}) {
      ++s->calls;
      s->seconds += run.seconds;
      s->multiply_adds += run.multiply_adds;
    }
    inside += run.seconds;
  });
  const std::vector<double> seconds = time_steps(workload, steps);
  context.set_kernel_observer({});
  const double total = std::accumulate(seconds.begin(), seconds.end(), 0.0),
               each = 1e3 / static_cast<double>(steps);
  return {{"ms", total * each},
          {"outside_ms", (total - inside) * each},
          {"kernels", rows_of(by_shape, steps, total)},
          {"ops", rows_of(by_op, steps, total)}};
}

std::string profile_text(const nlohmann::ordered_json& profile) {
  std::string text;
  for (const char* table : {"kernels", "ops"}) {
    text += str(table == std::string("ops") ? "\nBy op and kernel\n" : "",
                "ms a step    share    calls  GFLOP/s  op, kernel, shape\n");
    for (const auto& row : profile[table])
      text += str(
          right_aligned(fixed(row["ms"], 3), 9), "  ",
          right_aligned(fixed(100 * row["share"].get<double>(), 1), 6), "%  ",
          right_aligned(fixed(row["calls"], 0), 7), "  ",
          right_aligned(row["gflops"].is_null() ? "-" : fixed(row["gflops"], 0), 7), "  ",
          row["op"].get<std::string>(), ", ", row["kernel"].get<std::string>(),
          !row["shape"].get<std::string>().empty() ? ", " + row["shape"].get<std::string>() : "",
          "\n");
  }
  return str(text, "a step ", fixed(profile["ms"], 3), " ms, outside of kernels ",
             fixed(profile["outside_ms"], 3), " ms\n");
}

}  // namespace graft::tools
