// resample: weighted sums of slices along one axis.
#include "graft/kernels/ops/resample.h"

#include <algorithm>

#include "graft/kernels/reference/register.h"
#include "graft/kernels/reference/walk.h"

namespace graft::reference {
namespace {

template <class T>
void resample_line(const ops::ResampleAttributes& a, const T* x, T* y, int64_t out) {
  const int64_t *first = a.first.data(), *positions = a.positions.data();
  const double* weights = a.weights.data();
  for (int64_t p = 0; p < out; ++p) {
    double sum = first[p] == first[p + 1] ? a.fill : 0.0;
    for (int64_t j = first[p]; j < first[p + 1]; ++j)
      sum += weights[j] * convert<double>(x[positions[j]]);
    y[p] = convert<T>(sum);
  }
}

void forward(ExecContext& context, ops::ResampleForwardArgs& args) {
  if (args.y.numel() == 0) return;
  const ops::ResampleAttributes& a = args.attributes;
  const AxisBlocks blocks(args.x, a.axis);
  const int64_t in = args.x.shape()[a.axis], out = args.y.shape()[a.axis], inner = blocks.inner;
  visit_floating(args.x.dtype(), "resample", [&](auto zero) {
    using T = decltype(zero);
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    if (inner == 1) {  // lines of single elements
      constexpr int64_t lines = 64;
      context.parallel_for(ceil_div(blocks.outer, lines), [&](int64_t job) {
        for (int64_t o = job * lines; o < std::min(blocks.outer, (job + 1) * lines); ++o)
          resample_line(a, x + o * in, y + o * out, out);
      });
      return;
    }
    context.parallel_for(blocks.outer, [&](int64_t o) {
      std::vector<double> sums(static_cast<size_t>(inner));
      for (int64_t p = 0; p < out; ++p) {
        const int64_t first = a.first[static_cast<size_t>(p)],
                      last = a.first[static_cast<size_t>(p) + 1];
        std::fill(sums.begin(), sums.end(), first == last ? a.fill : 0.0);
        for (int64_t j = first; j < last; ++j) {
          const double weight = a.weights[static_cast<size_t>(j)];
          const T* from = x + (o * in + a.positions[static_cast<size_t>(j)]) * inner;
          for (int64_t i = 0; i < inner; ++i)
            sums[static_cast<size_t>(i)] += weight * convert<double>(from[i]);
        }
        T* to = y + (o * out + p) * inner;
        for (int64_t i = 0; i < inner; ++i) to[i] = convert<T>(sums[static_cast<size_t>(i)]);
      }
    });
  });
}

void backward(ExecContext& context, ops::ResampleBackwardArgs& args) {
  if (args.dx.numel() == 0) return;
  const ops::ResampleAttributes& a = args.attributes;
  const AxisBlocks blocks(args.dx, a.axis);
  const int64_t in = args.dx.shape()[a.axis], out = args.dy.shape()[a.axis], inner = blocks.inner;
  visit_floating(args.dx.dtype(), "resample", [&](auto zero) {
    using T = decltype(zero);
    const T* dy = args.dy.data<T>();
    T* dx = args.dx.mutable_data<T>();
    context.parallel_for(blocks.outer, [&](int64_t o) {
      std::vector<double> sums(static_cast<size_t>(in * inner));
      for (int64_t p = 0; p < out; ++p)
        for (int64_t j = a.first[static_cast<size_t>(p)]; j < a.first[static_cast<size_t>(p) + 1];
             ++j) {
          const double weight = a.weights[static_cast<size_t>(j)];
          const T* from = dy + (o * out + p) * inner;
          double* to = sums.data() + a.positions[static_cast<size_t>(j)] * inner;
          for (int64_t i = 0; i < inner; ++i) to[i] += weight * convert<double>(from[i]);
        }
      for (size_t i = 0; i < sums.size(); ++i)
        dx[o * in * inner + static_cast<int64_t>(i)] = convert<T>(sums[i]);
    });
  });
}

}  // namespace

void register_resample(ops::ResampleKernels& kernels) {
  kernels.forward.add({"reference", takes_all, forward});
  kernels.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
