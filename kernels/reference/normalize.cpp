// normalize: two passes over each row, sums in double.
#include "graft/kernels/ops/normalize.h"

#include <cmath>

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

// The sum of f(i) for i in [0, size), in four partial sums.
template <class F>
double sum_of_terms(int64_t size, F&& f) {
  double sums[4] = {};
  int64_t i = 0;
  for (; i + 4 <= size; i += 4)
    for (int64_t lane = 0; lane < 4; ++lane) sums[lane] += f(i + lane);
  for (; i < size; ++i) sums[i % 4] += f(i);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

void forward(ExecContext& context, ops::NormalizeForwardArgs& args) {
  if (args.x.numel() == 0) return;
  const Shape& shape = args.x.shape();
  const int64_t rows = shape.product(0, args.attributes.axis),
                size = shape.product(args.attributes.axis, shape.rank());
  double* scales = args.scales ? args.scales->mutable_data<double>() : nullptr;
  visit_floating(args.x.dtype(), "normalize", [&](auto zero) {
    using T = decltype(zero);
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    context.parallel_for(rows, [&](int64_t row) {
      const T* in = x + row * size;
      const double count = static_cast<double>(size);
      const double mean =
          args.attributes.center
              ? sum_of_terms(size, [&](int64_t i) { return convert<double>(in[i]); }) / count
              : 0;
      const double squares = sum_of_terms(size, [&](int64_t i) {
        const double centred = convert<double>(in[i]) - mean;
        return centred * centred;
      });
      const double scale = 1 / std::sqrt(squares / count + args.attributes.eps);
      for (int64_t i = 0; i < size; ++i)
        y[row * size + i] = convert<T>((convert<double>(in[i]) - mean) * scale);
      if (scales) scales[row] = scale;
    });
  });
}

// dx = scale * (dy - mean(dy) - y * mean(dy * y)); without centring mean(dy) is left out.
void backward(ExecContext& context, ops::NormalizeBackwardArgs& args) {
  if (args.y.numel() == 0) return;
  const Shape& shape = args.y.shape();
  const int64_t rows = shape.product(0, args.attributes.axis),
                size = shape.product(args.attributes.axis, shape.rank());
  const double* scales = args.scales.data<double>();
  visit_floating(args.y.dtype(), "normalize", [&](auto zero) {
    using T = decltype(zero);
    const T *y = args.y.data<T>(), *dy = args.dy.data<T>();
    T* dx = args.dx.mutable_data<T>();
    context.parallel_for(rows, [&](int64_t row) {
      const double sum =
          sum_of_terms(size, [&](int64_t i) { return convert<double>(dy[row * size + i]); });
      const double product = sum_of_terms(size, [&](int64_t i) {
        return convert<double>(dy[row * size + i]) * convert<double>(y[row * size + i]);
      });
      const double mean = args.attributes.center ? sum / static_cast<double>(size) : 0,
                   along = product / static_cast<double>(size);
      for (int64_t i = row * size; i < (row + 1) * size; ++i)
        dx[i] = convert<T>(scales[row] *
                           (convert<double>(dy[i]) - mean - convert<double>(y[i]) * along));
    });
  });
}

}  // namespace

void register_normalize(ops::NormalizeKernels& kernels) {
  kernels.forward.add({"reference", takes_all, forward});
  kernels.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
