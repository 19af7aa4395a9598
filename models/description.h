// Description: what people should know of a model before they use it, in their words.
#pragma once
#include <string>

#include "graft/core/base/export.h"

namespace graft::models {

// Texts of at most 4,000 bytes; "": nothing is said.
struct GRAFT_API Description {
  std::string data{};          // what the model was trained and judged on
  std::string intended_use{};  // what it is for, and for whom
  std::string limits{};        // where it was not tried, or fails

  bool empty() const { return data.empty() && intended_use.empty() && limits.empty(); }
  bool operator==(const Description&) const = default;

  std::string to_json() const;  // an object with the fields that say something
  // A JSON object with data, intended_use and limits, or some of them, and nothing else. bad_input
  // naming `what`.
  static Description from_json(const std::string& json, const std::string& what);
};

}  // namespace graft::models
