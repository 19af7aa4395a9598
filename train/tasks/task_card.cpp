#include "graft/train/tasks/task_card.h"

#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/io/datasets/class_names.h"

namespace graft::train {

std::string TaskCard::name() const {
  if (json.empty()) return "classify";
  const auto j = nlohmann::json::parse(json, nullptr, false);
  GRAFT_CHECK(j.is_object() && j.contains("name") && j.at("name").is_string(),
              "the model card's task has no name");
  return j.at("name").get<std::string>();
}

bool is_same_head(const TaskCard& a, const TaskCard& b) {
  if (a.name() != b.name() || a.outputs != b.outputs || a.names.size() != b.names.size() ||
      std::ssize(a.names) != a.outputs)
    return false;
  const std::vector<int64_t> places = io::matched_classes(a.names, b.names);
  for (size_t i = 0; i < places.size(); ++i)
    if (places[i] != static_cast<int64_t>(i)) return false;
  return true;
}

}  // namespace graft::train
