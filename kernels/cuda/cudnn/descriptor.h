// RAII over cuDNN's backend descriptors: made, given attributes, finalized, given back once. A call
// that fails throws Refused with cuDNN's own words.
#pragma once
#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graft/core/base/text.h"
#include "graft/kernels/cuda/cudnn/api.h"

namespace graft::cudnn {

// cuDNN does not take something. Caught at the Dnn, where it becomes a Status.
struct Refused {
  std::string why;
};

template <class T>
constexpr api::Type type_of() {
  using api::Type;
  if constexpr (std::is_same_v<T, int64_t>)
    return Type::int64;
  else if constexpr (std::is_same_v<T, int32_t>)
    return Type::int32;
  else if constexpr (std::is_same_v<T, float>)
    return Type::float32;
  else if constexpr (std::is_same_v<T, double>)
    return Type::float64;
  else if constexpr (std::is_same_v<T, bool>)
    return Type::boolean;
  else if constexpr (std::is_same_v<T, char>)
    return Type::text;
  else if constexpr (std::is_same_v<T, api::DataType>)
    return Type::data_type;
  else if constexpr (std::is_same_v<T, api::ConvolutionMode>)
    return Type::convolution_mode;
  else if constexpr (std::is_same_v<T, api::PointwiseMode>)
    return Type::pointwise_mode;
  else if constexpr (std::is_same_v<T, api::HeuristicsMode>)
    return Type::heuristics_mode;
  else if constexpr (std::is_same_v<T, api::NumericalNote>)
    return Type::numerical_note;
  else if constexpr (std::is_same_v<T, api::BehaviorNote>)
    return Type::behavior_note;
  else {
    static_assert(std::is_same_v<T, void*>);
    return Type::pointer;
  }
}

class Descriptor {
 public:
  Descriptor(const api::Library& library, api::Kind kind) : library_(&library) {
    check(library.create_descriptor(kind, &id_), "making a descriptor");
  }
  ~Descriptor() {
    if (id_) library_->destroy_descriptor(id_);
  }
  Descriptor(Descriptor&& other) noexcept
      : library_(other.library_), id_(std::exchange(other.id_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(library_, other.library_);
    std::swap(id_, other.id_);
    return *this;
  }
  api::Descriptor id() const { return id_; }

  template <class T>
  Descriptor& set(api::Name name, std::span<const T> values) {
    check(
        library_->set(id_, name, type_of<T>(), static_cast<int64_t>(values.size()), values.data()),
        "setting an attribute");
    return *this;
  }
  template <class T>
  Descriptor& set(api::Name name, T value) {
    return set(name, std::span<const T>(&value, 1));
  }
  Descriptor& set(api::Name name, const Descriptor& value) {
    return set_descriptors(name, {&value.id_, 1});
  }
  Descriptor& set_handle(api::Name name, api::Handle handle) {
    check(library_->set(id_, name, api::Type::handle, 1, &handle), "setting an attribute");
    return *this;
  }
  Descriptor& set_descriptors(api::Name name, std::span<const api::Descriptor> values) {
    check(library_->set(id_, name, api::Type::descriptor, static_cast<int64_t>(values.size()),
                        values.data()),
          "setting an attribute");
    return *this;
  }
  Descriptor& finalize() {
    check(library_->finalize(id_), "finalizing a descriptor");
    return *this;
  }

  int64_t get_int(api::Name name) const {
    int64_t value = 0, count = 0;
    check(library_->get(id_, name, api::Type::int64, 1, &count, &value), "reading an attribute");
    return value;
  }
  // All values of an attribute of that type; at most `most`.
  template <class T>
  std::vector<T> get(api::Name name, api::Type type, size_t most) const {
    std::vector<T> values(most);
    int64_t count = 0;
    check(library_->get(id_, name, type, static_cast<int64_t>(most), &count, values.data()),
          "reading an attribute");
    values.resize(std::min(most, static_cast<size_t>(std::max<int64_t>(count, 0))));
    return values;
  }
  std::string get_text(api::Name name) const {
    int64_t size = 0;
    check(library_->get(id_, name, api::Type::text, 0, &size, nullptr), "reading a text's size");
    std::string text(static_cast<size_t>(std::max<int64_t>(size, 0)), '\0');
    check(library_->get(id_, name, api::Type::text, size, &size, text.data()), "reading a text");
    text.resize(
        static_cast<size_t>(std::clamp<int64_t>(size, 0, static_cast<int64_t>(text.size()))));
    return text;
  }
  // Fills descriptors that are there already: cuDNN copies into them. `result` then has as many as
  // there are.
  void get_descriptors(api::Name name, std::vector<Descriptor>& result) const;
  void get_descriptor(api::Name name, Descriptor& result) const {
    int64_t count = 0;
    check(library_->get(id_, name, api::Type::descriptor, 1, &count, &result.id_),
          "reading a descriptor");
  }

 private:
  void check(api::Result result, const char* what) const;

  const api::Library* library_;
  api::Descriptor id_ = nullptr;
};

// cuDNN's words for a failed call.
std::string words_of(const api::Library& library, api::Result result);

}  // namespace graft::cudnn
