// resample: weighted sums of slices along one axis.
#include "graft/kernels/ops/resample.h"

#include <algorithm>

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

// A tensor's memory as [outer, axis, inner].
struct AxisBlocks {
  int64_t outer = 1, inner = 1;
  AxisBlocks(const Tensor& t, int axis) {
    static constexpr int kChannelsLast[] = {0, 2, 3, 1};
    bool before = true;
    for (int i = 0; i < t.rank(); ++i) {
      const int at = t.format() == MemoryFormat::channels_last ? kChannelsLast[i] : i;
      if (at == axis) before = false;
      else (before ? outer : inner) *= t.shape()[at];
    }
  }
};

void forward(ExecContext& context, ops::ResampleForwardArgs& args) {
  const ops::ResampleAttributes& a = args.attributes;
  const AxisBlocks blocks(args.x, a.axis);
  const int64_t in = args.x.shape()[a.axis], out = args.y.shape()[a.axis], inner = blocks.inner;
  visit_floating(args.x.dtype(), "resample", [&](auto zero) {
    using T = decltype(zero);
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    context.parallel_for(blocks.outer, [&](int64_t o) {
      std::vector<double> sums(static_cast<size_t>(inner));
      for (int64_t p = 0; p < out; ++p) {
        const int64_t first = a.first[static_cast<size_t>(p)], last = a.first[static_cast<size_t>(p) + 1];
        std::fill(sums.begin(), sums.end(), first == last ? a.fill : 0.0);
        for (int64_t j = first; j < last; ++j) {
          const double weight = a.weights[static_cast<size_t>(j)];
          const T* from = x + (o * in + a.positions[static_cast<size_t>(j)]) * inner;
          for (int64_t i = 0; i < inner; ++i) sums[static_cast<size_t>(i)] += weight * convert<double>(from[i]);
        }
        T* to = y + (o * out + p) * inner;
        for (int64_t i = 0; i < inner; ++i) to[i] = convert<T>(sums[static_cast<size_t>(i)]);
      }
    });
  });
}

void backward(ExecContext& context, ops::ResampleBackwardArgs& args) {
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
        for (int64_t j = a.first[static_cast<size_t>(p)]; j < a.first[static_cast<size_t>(p) + 1]; ++j) {
          const double weight = a.weights[static_cast<size_t>(j)];
          const T* from = dy + (o * out + p) * inner;
          double* to = sums.data() + a.positions[static_cast<size_t>(j)] * inner;
          for (int64_t i = 0; i < inner; ++i) to[i] += weight * convert<double>(from[i]);
        }
      for (size_t i = 0; i < sums.size(); ++i) dx[o * in * inner + static_cast<int64_t>(i)] = convert<T>(sums[i]);
    });
  });
}

}  // namespace

void register_resample(KernelSet& set) {
  set.resample.forward.add({"reference", takes_all, forward});
  set.resample.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
