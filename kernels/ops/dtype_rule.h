// Which dtypes an op takes together. Every argument struct says it in dtypes_fit(), and dispatch
// refuses all else before any backend is asked: no kernel converts silently what it was not written
// for.
#pragma once
#include <span>
#include <string>

#include "graft/core/tensor/tensor.h"

namespace graft::ops {

// An absent tensor (null or undefined) fits everything.
inline bool is_of(DType dtype, const Tensor* t) {
  return !t || !t->defined() || t->dtype() == dtype;
}
inline bool is_of(DType dtype, const Tensor& t) { return is_of(dtype, &t); }
inline bool is_of(DType dtype, std::span<const Tensor> tensors) {
  for (const Tensor& t : tensors)
    if (!is_of(dtype, t)) return false;
  return true;
}
template <class... T>
bool are_of(DType dtype, const T&... tensors) {
  return (is_of(dtype, tensors) && ...);
}

// A parameter beside values: of their dtype, or float32 beside 16-bit floating values.
inline bool goes_with(DType values, const Tensor* parameter) {
  const bool half = values == DType::bf16 || values == DType::f16;
  return is_of(values, parameter) || (half && parameter->dtype() == DType::f32);
}
inline bool goes_with(DType values, const Tensor& parameter) {
  return goes_with(values, &parameter);
}
template <class... T>
bool go_with(DType values, const T&... parameters) {
  return (goes_with(values, parameters) && ...);
}

inline bool is_index(const Tensor& t) { return t.dtype() == DType::i32 || t.dtype() == DType::i64; }

// "x uint8, weight float32": the tensors of an argument struct that decide.
template <class Args>
std::string dtypes_of(const Args& args) {
  std::string text;
  const auto add = [&](const char* name, const Tensor* t) {
    if (t && t->defined()) text += str(text.empty() ? "" : ", ", name, " ", name_of(t->dtype()));
  };
#define GRAFT_ADD_MEMBER(name)                         \
  if constexpr (requires { args.name.dtype(); })       \
    add(#name, &args.name);                            \
  else if constexpr (requires { args.name->dtype(); }) \
    add(#name, args.name);
  GRAFT_ADD_MEMBER(x)
  GRAFT_ADD_MEMBER(a)
  GRAFT_ADD_MEMBER(b)
  GRAFT_ADD_MEMBER(condition)
  GRAFT_ADD_MEMBER(logits)
  GRAFT_ADD_MEMBER(target)
  GRAFT_ADD_MEMBER(class_weights)
  GRAFT_ADD_MEMBER(weight)
  GRAFT_ADD_MEMBER(bias)
  GRAFT_ADD_MEMBER(residual)
  GRAFT_ADD_MEMBER(mean)
  GRAFT_ADD_MEMBER(variance)
  GRAFT_ADD_MEMBER(multiplier)
  GRAFT_ADD_MEMBER(grid)
  GRAFT_ADD_MEMBER(boxes)
  GRAFT_ADD_MEMBER(batch)
  GRAFT_ADD_MEMBER(indices)
  GRAFT_ADD_MEMBER(updates)
  GRAFT_ADD_MEMBER(dy)
  GRAFT_ADD_MEMBER(y)
  GRAFT_ADD_MEMBER(dx)
  GRAFT_ADD_MEMBER(dweight)
  GRAFT_ADD_MEMBER(dbias)
#undef GRAFT_ADD_MEMBER
  return text;
}

}  // namespace graft::ops
