// Attributes of ONNX nodes, for code that writes nodes.
#pragma once
#include <utility>

#include "graft/io/onnx/model.h"

namespace graft::io::onnx {

inline Attribute real_attribute(const char* name, double value) {
  Attribute a;
  a.name = name;
  a.type = AttributeType::float_;
  a.f = static_cast<float>(value);
  return a;
}
inline Attribute integer_attribute(const char* name, int64_t value) {
  Attribute a;
  a.name = name;
  a.type = AttributeType::int_;
  a.i = value;
  return a;
}
inline Attribute integers_attribute(const char* name, std::vector<int64_t> values) {
  Attribute a;
  a.name = name;
  a.type = AttributeType::ints;
  a.ints = std::move(values);
  return a;
}

inline Attribute text_attribute(const char* name, std::string value) {
  Attribute a;
  a.name = name;
  a.type = AttributeType::string;
  a.s = std::move(value);
  return a;
}

}  // namespace graft::io::onnx
