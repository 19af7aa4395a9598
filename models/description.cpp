#include "graft/models/description.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "graft/core/base/error.h"
#include "graft/core/base/printable.h"
#include "graft/io/json.h"

namespace graft::models {
namespace {

constexpr size_t kLongestText = 4000;

constexpr std::array<std::pair<const char*, std::string Description::*>, 3> kFields = {
    {{"data", &Description::data},
     {"intended_use", &Description::intended_use},
     {"limits", &Description::limits}}};

}  // namespace

std::string Description::to_json() const {
  nlohmann::json j = nlohmann::json::object();
  for (const auto& [name, field] : kFields)
    if (!(this->*field).empty()) j[name] = this->*field;
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Description Description::from_json(const std::string& json, const std::string& what) {
  io::check_json(json, what);
  const auto j = nlohmann::json::parse(json, nullptr, false);
  GRAFT_CHECK(j.is_object(), what, ": expected a JSON object with data, intended_use and limits");
  Description description;
  for (const auto& [key, value] : j.items()) {
    const std::string name = key;
    const auto* found = kFields.begin();
    while (found != kFields.end() && name != found->first) ++found;
    GRAFT_CHECK(found != kFields.end(), what, ": the field '", printable(name),
                "' is none of data, intended_use and limits");
    GRAFT_CHECK(value.is_string() && value.get_ref<const std::string&>().size() <= kLongestText,
                what, ": ", name, " is no text of at most ", kLongestText, " bytes");
    description.*(found->second) = value.get<std::string>();
  }
  return description;
}

}  // namespace graft::models
