// TaskCard: what a model's card keeps of the task that the model is for.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::train {

struct GRAFT_API TaskCard {
  // An object with "name" and what only the task knows; "": classification, as in the cards of
  // before there was a choice.
  std::string json{};
  std::vector<std::string> names{};  // of the outputs, in their order; empty: nothing names them
  int64_t outputs = 0;
  bool sigmoid = false;  // each output becomes a probability of its own

  std::string name() const;  // of the task; bad_input for what is no such object
};

// Whether a head of one is a head for the other: of the same task, its outputs of the same names in
// the same order.
GRAFT_API bool is_same_head(const TaskCard& a, const TaskCard& b);

}  // namespace graft::train
