// Softmax and normalize along rows of memory, "cpu_rows": vectorised, in float32 and bfloat16 with
// sums in float32.
#include <algorithm>
#include <cmath>

#include "graft/kernels/cpu/engine.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/ops/normalize.h"
#include "graft/kernels/ops/softmax.h"

namespace graft::cpu {
namespace {

constexpr int64_t kRowElements = 1 << 14;  // of a job

bool is_row_dtype(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

// Calls f(T{}) with the C++ type.
template <class F>
void visit_rows(DType dtype, F&& f) {
  if (dtype == DType::bf16)
    f(Bf16{});
  else
    f(float{});
}

// Calls f(row) for all rows of `size` elements, in parallel.
template <class F>
void for_each_row(ExecContext& context, int64_t rows, int64_t size, F&& f) {
  const int64_t of_job = std::max<int64_t>(1, kRowElements / size);
  context.parallel_for(ceil_div(rows, of_job), [&](int64_t job) {
    for (int64_t row = job * of_job; row < std::min(rows, (job + 1) * of_job); ++row) f(row);
  });
}

// Why a softmax's lines are no rows of memory, or null.
const char* declines_lines(const Tensor& x, const Tensor& y, int axis) {
  if (!is_row_dtype(x.dtype())) return "only f32 and bf16";
  if (x.format() != y.format()) return "the memory orders differ";
  if (x.numel() == 0) return "no elements";
  if (x.shape()[axis] == 1) return "one element a line";
  const bool is_run = x.format() == MemoryFormat::channels_last
                          ? axis == 1
                          : x.shape().product(axis + 1, x.rank()) == 1;
  return is_run ? nullptr : "the axis is not a run of memory";
}

const char* declines_softmax(const ExecContext&, const ops::SoftmaxForwardArgs& args) {
  return declines_lines(args.x, args.y, args.attributes.axis);
}
void softmax(ExecContext& context, ops::SoftmaxForwardArgs& args) {
  const int64_t size = args.x.shape()[args.attributes.axis];
  visit_rows(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const RowKernels<T>& kernels = row_kernels_for<T>(context);
    const T* x = image_data<T>(args.x);
    T* y = mutable_image_data<T>(args.y);
    for_each_row(context, args.x.numel() / size, size, [&](int64_t row) {
      const int64_t at = row * size;
      if (!args.attributes.log) return kernels.softmax(x + at, size, y + at);
      float top, sum;
      kernels.exponential_sum(x + at, size, &top, &sum);
      kernels.subtract(x + at, size, top, std::log(sum), y + at);
    });
  });
}

const char* declines_softmax_gradient(const ExecContext&, const ops::SoftmaxBackwardArgs& args) {
  if (args.dy.format() != args.y.format()) return "the memory orders differ";
  return declines_lines(args.y, args.dx, args.attributes.axis);
}
void softmax_gradient(ExecContext& context, ops::SoftmaxBackwardArgs& args) {
  const int64_t size = args.y.shape()[args.attributes.axis];
  visit_rows(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const RowKernels<T>& kernels = row_kernels_for<T>(context);
    const T *y = image_data<T>(args.y), *dy = image_data<T>(args.dy);
    T* dx = mutable_image_data<T>(args.dx);
    for_each_row(context, args.y.numel() / size, size, [&](int64_t row) {
      const int64_t at = row * size;
      kernels.softmax_gradient(y + at, dy + at, size, args.attributes.log, dx + at);
    });
  });
}

const char* declines_normalize(const ExecContext&, const ops::NormalizeForwardArgs& args) {
  if (args.x.numel() == 0) return "no elements";
  return is_row_dtype(args.x.dtype()) ? nullptr : "only f32 and bf16";
}
void normalize(ExecContext& context, ops::NormalizeForwardArgs& args) {
  const Shape& shape = args.x.shape();
  const int64_t rows = shape.product(0, args.attributes.axis), size = args.x.numel() / rows;
  double* scales = args.scales ? args.scales->mutable_data<double>() : nullptr;
  visit_rows(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const RowKernels<T>& kernels = row_kernels_for<T>(context);
    const T* x = image_data<T>(args.x);
    T* y = mutable_image_data<T>(args.y);
    for_each_row(context, rows, size, [&](int64_t row) {
      float mean, rest, squares;
      kernels.deviations(x + row * size, size, args.attributes.center, &mean, &rest, &squares);
      const double scale = 1 / std::sqrt(static_cast<double>(squares) / static_cast<double>(size) +
                                         args.attributes.eps);
      kernels.normalize(x + row * size, size, mean, rest, static_cast<float>(scale),
                        y + row * size);
      if (scales) scales[row] = scale;
    });
  });
}

const char* declines_normalize_gradient(const ExecContext&,
                                        const ops::NormalizeBackwardArgs& args) {
  if (args.y.numel() == 0) return "no elements";
  return is_row_dtype(args.y.dtype()) ? nullptr : "only f32 and bf16";
}
void normalize_gradient(ExecContext& context, ops::NormalizeBackwardArgs& args) {
  const int64_t rows = args.y.shape().product(0, args.attributes.axis),
                size = args.y.numel() / rows;
  const double* scales = args.scales.data<double>();
  visit_rows(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const RowKernels<T>& kernels = row_kernels_for<T>(context);
    const T *y = image_data<T>(args.y), *dy = image_data<T>(args.dy);
    T* dx = mutable_image_data<T>(args.dx);
    for_each_row(context, rows, size, [&](int64_t row) {
      const int64_t at = row * size;
      kernels.normalize_gradient(y + at, dy + at, size, args.attributes.center,
                                 static_cast<float>(scales[row]), dx + at);
    });
  });
}

}  // namespace

void register_rows(ops::SoftmaxKernels& softmax_kernels, ops::NormalizeKernels& normalize_kernels) {
  softmax_kernels.forward.add({"cpu_rows", declines_softmax, softmax});
  softmax_kernels.backward.add({"cpu_rows", declines_softmax_gradient, softmax_gradient});
  normalize_kernels.forward.add({"cpu_rows", declines_normalize, normalize});
  normalize_kernels.backward.add({"cpu_rows", declines_normalize_gradient, normalize_gradient});
}

}  // namespace graft::cpu
