// Convolutions and pools of one spatial axis on the device, as images of one row.
#include <gtest/gtest.h>

#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/image.h"
#include "graft/layers/functional/pool.h"
#include "graft/tests/kernels/cuda/device_check.h"

namespace graft {
namespace {

using test::activation;
using test::OpCase;
using test::parameter;
using Inputs = std::span<const Tensor>;

ops::Window line_window(int64_t kernel, int64_t stride, int64_t begin, int64_t end,
                        int64_t dilation = 1) {
  ops::Window window;
  window.axes = 1;
  window.kernel[0] = kernel, window.stride[0] = stride, window.dilation[0] = dilation;
  window.pad_begin[0] = begin, window.pad_end[0] = end;
  return window;
}

std::vector<OpCase> one_axis_cases() {
  const ops::ConvAttributes uneven{line_window(3, 2, 1, 2)}, grouped{line_window(3, 1, 1, 1, 2), 2};
  return {
      {"conv",
       {activation({2, 3, 9}), parameter({4, 3, 3}), parameter({4})},
       [=](Inputs in) {
         return std::vector<Tensor>{functional::conv(in[0], in[1], in[2], uneven)};
       }},
      {"conv_groups",
       {activation({2, 4, 9}), parameter({6, 2, 3})},
       [=](Inputs in) { return std::vector<Tensor>{functional::conv(in[0], in[1], {}, grouped)}; }},
      {"conv_transpose",
       {activation({2, 4, 5}), parameter({4, 3, 3})},
       [=](Inputs in) {
         return std::vector<Tensor>{
             functional::conv_transpose(in[0], in[1], {}, uneven, {1, 0, 0})};
       }},
      {"max_pool",
       {activation({2, 3, 9})},
       [](Inputs in) {
         return std::vector<Tensor>{
             functional::max_pool(in[0], {.window = line_window(3, 2, 1, 0)})};
       }},
      {"average_pool",
       {activation({2, 3, 9})},
       [](Inputs in) {
         return std::vector<Tensor>{
             functional::average_pool(in[0], {.window = line_window(2, 2, 0, 1)})};
       }},
      {"global_average_pool",
       {activation({2, 3, 7})},
       [](Inputs in) { return std::vector<Tensor>{functional::global_average_pool(in[0])}; }},
  };
}

}  // namespace

GRAFT_DEVICE_CASES(OneAxis, one_axis_cases());

}  // namespace graft
