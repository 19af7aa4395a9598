// Where a plan's batch is cut: into segments of steps, and those into groups of samples.
#include <algorithm>
#include <set>

#include "graft/layers/plan/graph.h"

namespace graft::plan {

std::vector<Segment> segments_of(const Graph& graph, int64_t element_bytes,
                                 const GroupLimits& limits) {
  std::vector<size_t> last_read(static_cast<size_t>(graph.values), 0);
  for (size_t i = 0; i < graph.steps.size(); ++i)
    for (const Value v : graph.steps[i].inputs)
      if (v != kNoValue) last_read[static_cast<size_t>(v)] = i;
  last_read[static_cast<size_t>(graph.output)] = graph.steps.size();
  const auto group_of = [&](int64_t elements) {
    return std::clamp<int64_t>(limits.bytes / std::max<int64_t>(1, elements * element_bytes), 1,
                               limits.samples);
  };

  std::vector<Segment> segments;
  std::set<Value> live{graph.input};  // computed and still to be read
  Segment current{0, 0, graph.input, kNoValue, limits.samples};
  int64_t largest = graph.elements.at(graph.input);
  for (size_t i = 0; i < graph.steps.size(); ++i) {
    const Step& step = graph.steps[i];
    live.insert(step.output);
    largest = std::max(largest, graph.elements.at(step.output));
    std::erase_if(live, [&](Value v) { return last_read[static_cast<size_t>(v)] <= i; });
    if (live.size() != 1 || !live.contains(step.output)) continue;
    // One value is all that goes on. The segment ends here, unless the one before is not much
    // smaller in its groups.
    current.end = i + 1, current.out = step.output, current.group = group_of(largest);
    if (!segments.empty() && current.group / 2 < segments.back().group) {
      segments.back().end = current.end, segments.back().out = current.out;
      segments.back().group = std::min(segments.back().group, current.group);
    } else {
      segments.push_back(current);
    }
    current = {i + 1, i + 1, step.output, kNoValue, limits.samples};
    largest = graph.elements.at(step.output);
  }
  return segments;
}

}  // namespace graft::plan
