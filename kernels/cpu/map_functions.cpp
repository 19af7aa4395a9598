#include "graft/kernels/cpu/map_functions.h"

#include <optional>
#include <utility>

#include "graft/core/base/error.h"

namespace graft::cpu {
namespace {

std::optional<MapFunction> map_function(ops::Unary function) {
  static constexpr std::pair<ops::Unary, MapFunction> names[] = {
      {ops::Unary::sigmoid, MapFunction::sigmoid},
      {ops::Unary::tanh, MapFunction::tanh},
      {ops::Unary::neg, MapFunction::neg},
      {ops::Unary::exp, MapFunction::exp},
      {ops::Unary::abs, MapFunction::abs},
      {ops::Unary::reciprocal, MapFunction::reciprocal},
      {ops::Unary::erf, MapFunction::erf},
      {ops::Unary::leaky_relu, MapFunction::leaky_relu},
      {ops::Unary::elu, MapFunction::elu},
      {ops::Unary::hard_sigmoid, MapFunction::hard_sigmoid},
      {ops::Unary::hard_swish, MapFunction::hard_swish},
      {ops::Unary::clip, MapFunction::clip},
      {ops::Unary::gelu, MapFunction::gelu},
      {ops::Unary::gelu_tanh, MapFunction::gelu_tanh},
      {ops::Unary::silu, MapFunction::silu}};
  for (const auto& [known, mapped] : names)
    if (known == function) return mapped;
  return std::nullopt;
}

}  // namespace

bool is_mapped(ops::Unary function) { return map_function(function).has_value(); }

MapAttributes map_attributes(const ops::UnaryAttributes& attributes) {
  const std::optional<MapFunction> function = map_function(attributes.function);
  GRAFT_ASSERT(function.has_value());
  return {*function, static_cast<float>(attributes.alpha), static_cast<float>(attributes.beta)};
}

}  // namespace graft::cpu
