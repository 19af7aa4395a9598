#include "graft/models/keras/settings.h"

#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"

namespace graft::models::keras {

struct LayerSettings::Json {
  nlohmann::json json = nlohmann::json::object();
};

namespace {

using nlohmann::json;

constexpr size_t kMostNumbers = 100'000;  // in one list

const json* found(const LayerSettings::Json& values, const char* key) {
  const auto at = values.json.find(key);
  return at == values.json.end() || at->is_null() ? nullptr : &*at;
}

[[noreturn]] void refuse(const char* key, const json& value, const char* wanted) {
  bad_input("its ", key, " is ", value.dump(-1, ' ', true).substr(0, 60), ", not ", wanted);
}

int64_t whole(const char* key, const json& value) {
  const double number = value.is_number() ? value.get<double>() : 1e30;
  if (!(number > -static_cast<double>(kMostExtent) && number < static_cast<double>(kMostExtent)) ||
      number != static_cast<double>(static_cast<int64_t>(number)))
    refuse(key, value, "a whole number of usual size");
  return static_cast<int64_t>(number);
}

template <class T, class Read>
void collect(const json& value, std::vector<T>& out, const Read& read) {
  if (!value.is_array()) {
    GRAFT_CHECK(out.size() < kMostNumbers, "a list has more than ", kMostNumbers, " numbers");
    return out.push_back(read(value));
  }
  for (const json& item : value) collect(item, out, read);
}

}  // namespace

LayerSettings::LayerSettings() : values_(std::make_shared<Json>()) {}

LayerSettings::LayerSettings(const std::string& text) {
  json object = json::parse(text, nullptr, false);
  values_ = std::make_shared<Json>(Json{object.is_object() ? std::move(object) : json::object()});
}

bool LayerSettings::has(const char* key) const { return found(*values_, key) != nullptr; }

bool LayerSettings::is_object(const char* key) const {
  const json* value = found(*values_, key);
  return value && value->is_object();
}

bool LayerSettings::is_text(const char* key) const {
  const json* value = found(*values_, key);
  return value && value->is_string();
}

std::string LayerSettings::text(const char* key, const std::string& otherwise) const {
  const json* value = found(*values_, key);
  if (!value) return otherwise;
  if (!value->is_string()) refuse(key, *value, "a word");
  return value->get<std::string>();
}

bool LayerSettings::flag(const char* key, bool otherwise) const {
  const json* value = found(*values_, key);
  if (!value) return otherwise;
  if (!value->is_boolean()) refuse(key, *value, "true or false");
  return value->get<bool>();
}

int64_t LayerSettings::integer(const char* key, int64_t otherwise) const {
  const json* value = found(*values_, key);
  return value ? whole(key, *value) : otherwise;
}

double LayerSettings::real(const char* key, double otherwise) const {
  const json* value = found(*values_, key);
  if (!value) return otherwise;
  if (!value->is_number()) refuse(key, *value, "a number");
  return value->get<double>();
}

std::vector<int64_t> LayerSettings::integers(const char* key,
                                             std::vector<int64_t> otherwise) const {
  const json* value = found(*values_, key);
  if (!value) return otherwise;
  std::vector<int64_t> numbers;
  collect(*value, numbers, [&](const json& item) { return whole(key, item); });
  return numbers;
}

std::vector<double> LayerSettings::reals(const char* key) const {
  const json* value = found(*values_, key);
  std::vector<double> numbers;
  if (!value) return numbers;
  collect(*value, numbers, [&](const json& item) {
    if (!item.is_number()) refuse(key, *value, "numbers");
    return item.get<double>();
  });
  return numbers;
}

std::vector<int64_t> LayerSettings::per_axis(const char* key, size_t count,
                                             int64_t otherwise) const {
  std::vector<int64_t> numbers = integers(key, {otherwise});
  if (numbers.size() == 1) numbers.resize(count, numbers[0]);
  GRAFT_CHECK(numbers.size() == count, "its ", key, " are ", numbers.size(), " numbers for ", count,
              " axes");
  return numbers;
}

std::optional<std::vector<int64_t>> LayerSettings::shape(const char* key) const {
  const json* value = found(*values_, key);
  if (!value || !value->is_array()) return std::nullopt;
  std::vector<int64_t> dims;
  for (const json& item : *value) {
    if (!item.is_null() && !item.is_number()) return std::nullopt;  // the shapes of several
    dims.push_back(item.is_null() ? -1 : whole(key, item));
    GRAFT_CHECK(dims.back() >= -1 && dims.size() <= 8, "its ", key, " is no shape");
  }
  return dims;
}

LayerSettings LayerSettings::within(const char* key) const {
  const json* value = found(*values_, key);
  LayerSettings inner;
  if (value && value->is_object()) inner.values_ = std::make_shared<Json>(Json{*value});
  return inner;
}

}  // namespace graft::models::keras
