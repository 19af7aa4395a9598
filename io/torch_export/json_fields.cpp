#include "graft/io/torch_export/json_fields.h"

#include <algorithm>

#include "graft/io/json.h"

namespace graft::io::torch_export {
namespace {

constexpr int64_t kMostText = 100;  // of what a message repeats
constexpr size_t kMostNameBytes = 4096;

std::string shown(const Json& json) {
  return json.is_object()  ? "an object"
         : json.is_array() ? "a list"
                           : json.dump(-1, ' ', true).substr(0, kMostText);
}

}  // namespace

Json parse_object(std::string_view text, const std::string& what) {
  check_json(text, what);
  try {
    Json json = Json::parse(text);
    GRAFT_CHECK(json.is_object(), what, " is no JSON object");
    return json;
  } catch (const Json::exception& error) {
    bad_input(what, " cannot be read as JSON: ", error.what());
  }
}

const Json* optional_field(const Json& object, const char* name) {
  GRAFT_CHECK(object.is_object(), shown(object), " stands where an object with '", name,
              "' belongs");
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const Json& field(const Json& object, const char* name) {
  const Json* found = optional_field(object, name);
  GRAFT_CHECK(found, "the field '", name, "' is missing");
  return *found;
}

const Json& object_at(const Json& object, const char* name) {
  const Json& found = field(object, name);
  GRAFT_CHECK(found.is_object(), "the field '", name, "' is no object");
  return found;
}

const Json& list_at(const Json& object, const char* name) {
  const Json& found = field(object, name);
  GRAFT_CHECK(found.is_array(), "the field '", name, "' is no list");
  return found;
}

std::string text_of(const Json& value) {
  GRAFT_CHECK(value.is_string(), shown(value), " stands where a text belongs");
  const auto& text = value.get_ref<const std::string&>();
  GRAFT_CHECK(text.size() <= kMostNameBytes, "a name of ", text.size(), " bytes");
  return text;
}

std::string text_at(const Json& object, const char* name) { return text_of(field(object, name)); }

int64_t integer_of(const Json& value) {
  const bool fits =
      value.is_number_integer() &&
      (!value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX));
  GRAFT_CHECK(fits, shown(value), " stands where a whole number belongs");
  return value.get<int64_t>();
}

Member member_of(const Json& object) {
  GRAFT_CHECK(object.is_object(), shown(object), " stands where a value belongs");
  Member member;
  for (const auto& [name, value] : object.items()) {
    if (value.is_null()) continue;
    GRAFT_CHECK(!member.value, "a value is of two kinds, ", member.name, " and ", name);
    member = {name, &value};
  }
  GRAFT_CHECK(member.value, "a value is of no kind");
  return member;
}

// SymInts: {"as_int": 3} or {"as_expr": {...}}.
static std::vector<int64_t> sizes_of(const Json& list) {
  std::vector<int64_t> sizes;
  for (const Json& size : list) {
    const Member member = member_of(size);
    GRAFT_CHECK(member.name == "as_int" || member.name == "as_expr", "a size is ", member.name);
    sizes.push_back(member.name == "as_int" ? integer_of(*member.value) : -1);
    GRAFT_CHECK(member.name == "as_expr" || sizes.back() >= 0, "a size of ", sizes.back());
  }
  return sizes;
}

ExportedMeta meta_of(const Json& json, const ReadLimits& limits) {
  ExportedMeta meta;
  meta.type = integer_of(field(json, "dtype"));
  meta.sizes = sizes_of(list_at(json, "sizes"));
  meta.strides = sizes_of(list_at(json, "strides"));
  GRAFT_CHECK(meta.sizes.size() <= 64 && meta.sizes.size() == meta.strides.size(), "a tensor of ",
              meta.sizes.size(), " sizes and ", meta.strides.size(), " strides");
  for (const int64_t size : meta.sizes) GRAFT_CHECK(size <= limits.extent, "a size of ", size);
  if (const Json* offset = optional_field(json, "storage_offset")) {
    const Member member = member_of(*offset);
    GRAFT_CHECK(member.name == "as_int", "an offset that is ", member.name);
    meta.offset = integer_of(*member.value);
    GRAFT_CHECK(meta.offset >= 0, "an offset of ", meta.offset);
  }
  const int64_t layout = integer_of(field(json, "layout"));
  GRAFT_CHECK(layout == 7, "a tensor of layout ", layout, "; dense ones (7) are read");
  return meta;
}

}  // namespace graft::io::torch_export
