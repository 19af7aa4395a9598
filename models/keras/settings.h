// LayerSettings: what a Keras configuration says of one layer, read with a default and checked.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace graft::models::keras {

class LayerSettings {
 public:
  struct Json;

  LayerSettings();                                  // none
  explicit LayerSettings(const std::string& json);  // an object; check_json must have passed it

  bool has(const char* key) const;  // and it is not null
  bool is_object(const char* key) const;
  bool is_text(const char* key) const;
  // bad_input naming the key for what is of another kind.
  std::string text(const char* key, const std::string& otherwise) const;
  bool flag(const char* key, bool otherwise) const;
  int64_t integer(const char* key, int64_t otherwise) const;
  double real(const char* key, double otherwise) const;
  // A number or a list, of lists too, in order.
  std::vector<int64_t> integers(const char* key, std::vector<int64_t> otherwise) const;
  std::vector<double> reals(const char* key) const;
  // The same for `count` axes, where one number stands for all of them.
  std::vector<int64_t> per_axis(const char* key, size_t count, int64_t otherwise) const;
  // A shape; -1: open. nullopt: there is none.
  std::optional<std::vector<int64_t>> shape(const char* key) const;
  LayerSettings within(const char* key) const;  // an object; none where it is not one

 private:
  std::shared_ptr<const Json> values_;
};

// A number of a shape, a window or an axis.
inline constexpr int64_t kMostExtent = int64_t{1} << 31;

}  // namespace graft::models::keras
