// Cases of convolution and linear layers, for every kernel of theirs: cuDNN's, cuBLASLt's, tensor
// cores' and plain ones.
#pragma once
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/linear.h"
#include "graft/tests/support/op_case.h"

namespace graft::test {

inline OpCase conv_case(std::string name, const Shape& x, const Shape& weight,
                        const ops::ConvAttributes& attributes, bool bias = false) {
  OpCase op{std::move(name),
            {activation(x), parameter(weight)},
            [attributes, bias](std::span<const Tensor> in) {
              return std::vector<Tensor>{
                  functional::conv(in[0], in[1], bias ? in[2] : Tensor(), attributes)};
            }};
  if (bias) op.inputs.push_back(parameter({weight[0]}));
  return op;
}

inline OpCase linear_case(std::string name, int64_t rows, int64_t in, int64_t out, bool bias) {
  OpCase op{std::move(name),
            {activation({rows, in}), matched({out, in})},
            [bias](std::span<const Tensor> v) {
              return std::vector<Tensor>{functional::linear(v[0], v[1], bias ? v[2] : Tensor())};
            }};
  if (bias) op.inputs.push_back(matched({out}));
  return op;
}

}  // namespace graft::test
