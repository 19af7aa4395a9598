// normalize: two passes over each row, sums in double.
#include "graft/kernels/ops/normalize.h"

#include <cmath>

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

void forward(ExecContext& context, ops::NormalizeForwardArgs& args) {
  const Shape& shape = args.x.shape();
  const int64_t rows = shape.product(0, args.attributes.axis), size = shape.product(args.attributes.axis, shape.rank());
  double* scales = args.scales ? args.scales->mutable_data<double>() : nullptr;
  visit_floating(args.x.dtype(), "normalize", [&](auto zero) {
    using T = decltype(zero);
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    context.parallel_for(rows, [&](int64_t row) {
      const T* in = x + row * size;
      double sum = 0, squares = 0;
      for (int64_t i = 0; args.attributes.center && i < size; ++i) sum += convert<double>(in[i]);
      const double mean = sum / static_cast<double>(size);
      for (int64_t i = 0; i < size; ++i) {
        const double centred = convert<double>(in[i]) - mean;
        squares += centred * centred;
      }
      const double scale = 1 / std::sqrt(squares / static_cast<double>(size) + args.attributes.eps);
      for (int64_t i = 0; i < size; ++i) y[row * size + i] = convert<T>((convert<double>(in[i]) - mean) * scale);
      if (scales) scales[row] = scale;
    });
  });
}

// dx = scale * (dy - mean(dy) - y * mean(dy * y)); without centring mean(dy) is left out.
void backward(ExecContext& context, ops::NormalizeBackwardArgs& args) {
  const Shape& shape = args.y.shape();
  const int64_t rows = shape.product(0, args.attributes.axis), size = shape.product(args.attributes.axis, shape.rank());
  const double* scales = args.scales.data<double>();
  visit_floating(args.y.dtype(), "normalize", [&](auto zero) {
    using T = decltype(zero);
    const T *y = args.y.data<T>(), *dy = args.dy.data<T>();
    T* dx = args.dx.mutable_data<T>();
    context.parallel_for(rows, [&](int64_t row) {
      double sum = 0, product = 0;
      for (int64_t i = row * size; i < (row + 1) * size; ++i) {
        sum += convert<double>(dy[i]);
        product += convert<double>(dy[i]) * convert<double>(y[i]);
      }
      const double mean = args.attributes.center ? sum / static_cast<double>(size) : 0, along = product / static_cast<double>(size);
      for (int64_t i = row * size; i < (row + 1) * size; ++i)
        dx[i] = convert<T>(scales[row] * (convert<double>(dy[i]) - mean - convert<double>(y[i]) * along));
    });
  });
}

}  // namespace

void register_normalize(KernelSet& set) {
  set.normalize.forward.add({"reference", takes_all, forward});
  set.normalize.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
