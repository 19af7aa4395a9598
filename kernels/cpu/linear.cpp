// Linear: forward as dot products straight from both row-major matrices; the backward passes are
// those of a 1x1 convolution over images of one pixel.
#include "graft/kernels/cpu/linear.h"

#include <algorithm>

#include "graft/kernels/cpu/conv_problem.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/ops/linear.h"

namespace graft::cpu {
namespace {

template <class T>
void run_forward(ExecContext& context, ops::LinearForwardArgs& args) {
  constexpr int64_t block_columns = 64, block_rows = 96;
  const KernelTable<T>& table = kernel_table_for<T>(context);
  const int64_t rows = args.x.shape()[0], in = args.x.shape()[1], out = args.weight.shape()[0];
  const T *x = args.x.data<T>(), *weight = args.weight.data<T>();
  const T* bias = args.bias ? args.bias->data<T>() : nullptr;
  T* y = args.y.mutable_data<T>();
  const int64_t column_blocks = ceil_div(out, block_columns),
                row_blocks = ceil_div(rows, block_rows);
  context.parallel_for(column_blocks * row_blocks, [&](int64_t job) {
    const int64_t first_row = job / column_blocks * block_rows,
                  last_row = std::min(rows, first_row + block_rows);
    const int64_t first = job % column_blocks * block_columns,
                  last = std::min(out, first + block_columns);
    for (int64_t n = first; n < last; n += dot_columns)
      for (int64_t m = first_row; m < last_row; m += dot_rows) {
        const DotArgs<T> dot{
            x + m * in,      in, weight + n * in, in, in, bias ? bias + n : nullptr,
            y + m * out + n, out};
        table.dot[std::min<int64_t>(dot_rows, last_row - m)]
                 [std::min<int64_t>(dot_columns, last - n)](dot);
      }
  });
}

// [A,B] as [A,B,1,1].
Tensor as_image(const Tensor& t) { return t.reshape({t.shape()[0], t.shape()[1], 1, 1}); }

const char* declines_matrices(const Tensor& a, const Tensor& b) {
  if (!is_engine_dtype(a.dtype()) || b.dtype() != a.dtype()) return "only f32 and f64";
  return a.numel() == 0 || b.numel() == 0 ? "no elements" : nullptr;
}

const char* declines_forward(const ExecContext&, const ops::LinearForwardArgs& args) {
  if (args.bias && args.bias->dtype() != args.x.dtype()) return "the bias has another dtype";
  return declines_matrices(args.x, args.weight);
}
void forward(ExecContext& context, ops::LinearForwardArgs& args) { linear_forward(context, args); }

const char* declines_backward_data(const ExecContext&, const ops::LinearBackwardDataArgs& args) {
  return declines_matrices(args.dy, args.weight);
}
void backward_data(ExecContext& context, ops::LinearBackwardDataArgs& args) {
  Tensor dx = as_image(args.dx);
  conv_backward_data(context,
                     {as_image(args.dy), as_image(args.weight), ops::ConvAttributes{}, dx});
}

const char* declines_backward_weight(const ExecContext&,
                                     const ops::LinearBackwardWeightArgs& args) {
  if (args.dweight && args.dweight->dtype() != args.dy.dtype()) return "dweight has another dtype";
  if (args.dbias && args.dbias->dtype() != args.dy.dtype()) return "dbias has another dtype";
  return declines_matrices(args.dy, args.x);
}
void backward_weight(ExecContext& context, ops::LinearBackwardWeightArgs& args) {
  Tensor dweight = args.dweight ? as_image(*args.dweight) : Tensor();
  conv_backward_weight(context, {as_image(args.x), as_image(args.dy), ops::ConvAttributes{},
                                 args.dweight ? &dweight : nullptr, args.dbias});
}

}  // namespace

void linear_forward(ExecContext& context, ops::LinearForwardArgs args) {
  visit_engine_dtype(args.x.dtype(),
                     [&](auto zero) { run_forward<decltype(zero)>(context, args); });
}

void register_linear(ops::LinearKernels& kernels) {
  kernels.forward.add({"cpu", declines_forward, forward});
  kernels.backward_data.add({"cpu", declines_backward_data, backward_data});
  kernels.backward_weight.add({"cpu", declines_backward_weight, backward_weight});
}

}  // namespace graft::cpu
