// Fields of an export archive's JSON, each checked as it is taken.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "graft/io/torch_export/program.h"

namespace graft::io::torch_export {

using Json = nlohmann::json;

// Parsed within the limits; bad_input naming `what` for what is no JSON object.
Json parse_object(std::string_view text, const std::string& what);

const Json& field(const Json& object, const char* name);           // bad_input when it is missing
const Json* optional_field(const Json& object, const char* name);  // null too when it is null
const Json& object_at(const Json& object, const char* name);
const Json& list_at(const Json& object, const char* name);
std::string text_at(const Json& object, const char* name);
std::string text_of(const Json& value);
int64_t integer_of(const Json& value);

// The one member of a union that is set: {"as_int": 3}.
struct Member {
  std::string name;
  const Json* value = nullptr;
};
Member member_of(const Json& object);

ExportedMeta meta_of(const Json& json, const ReadLimits& limits);

}  // namespace graft::io::torch_export
