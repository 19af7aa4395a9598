// resample: weighted sums along one axis, in the order of the list. The gradient is the same sum
// over the transposed list.
#include <vector>

#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/axes.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/resample.h"

namespace graft::cuda {
namespace {

// Element i of the axis sums weights[j] * x[positions[j]] for first[i] <= j < first[i + 1].
struct WeightList {
  std::vector<int64_t> first{0}, positions;
  std::vector<float> weights;

  static WeightList of(const ops::ResampleAttributes& a) {
    return {a.first, a.positions, std::vector<float>(a.weights.begin(), a.weights.end())};
  }
  // For `in` positions: which elements each of them went to.
  WeightList transposed(int64_t in) const {
    WeightList result;
    std::vector<std::vector<std::pair<int64_t, float>>> went(static_cast<size_t>(in));
    for (size_t i = 0; i + 1 < first.size(); ++i)
      for (auto j = static_cast<size_t>(first[i]); j < static_cast<size_t>(first[i + 1]); ++j)
        went[static_cast<size_t>(positions[j])].emplace_back(static_cast<int64_t>(i), weights[j]);
    for (const auto& list : went) {
      for (const auto& [position, weight] : list)
        result.positions.push_back(position), result.weights.push_back(weight);
      result.first.push_back(static_cast<int64_t>(result.positions.size()));
    }
    return result;
  }
};

template <class T, int N>
struct Resample {
  static constexpr const char* name = "resample";
  static constexpr int group = N;
  Span<const T> x;
  Span<T> y;
  Span<const int64_t> first, positions;
  Span<const float> weights;
  int64_t in, out, inner;
  float fill;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t column = i % inner, place = i / inner % out, row = i / inner / out;
    const int64_t begin = first.load(place), end = first.load(place + 1);
    float sums[M];
    for (int j = 0; j < M; ++j) sums[j] = begin == end ? fill : 0.f;
    for (int64_t j = begin; j < end; ++j) {
      const float weight = weights.load(j);
      const Group<T, M> v =
          x.template load_group<M>((row * in + positions.load(j)) * inner + column);
      for (int m = 0; m < M; ++m) sums[m] += weight * to_float(v.v[m]);
    }
    Group<T, M> result;
    for (int m = 0; m < M; ++m) result.v[m] = from_float<T>(sums[m]);
    y.template store_group<M>(i, result);
  }
};

void run(const Tensor& x, Tensor& y, int axis, const WeightList& list, double fill) {
  const gpu::OperationName operation("resample");
  if (y.numel() == 0) return;
  HostLists& lists = lists_of(x);
  const Tensor first = lists.find(list.first), positions = lists.find(list.positions),
               weights = lists.find(list.weights);
  const int64_t inner = stride_in_memory(x, axis);
  visit_kernel_dtype(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_group<T>(is_aligned(x) && is_aligned(y) && inner % kGroup<T> == 0, [&](auto n) {
      launch_map(device_of(x), y.numel(),
                 Resample<T, n()>{span<T>(x), mutable_span<T>(y), span<int64_t>(first),
                                  span<int64_t>(positions), span<float>(weights), x.shape()[axis],
                                  y.shape()[axis], inner, static_cast<float>(fill)});
    });
  });
}

const char* declines_forward(const ExecContext&, const ops::ResampleForwardArgs& args) {
  return args.x.format() == args.y.format() ? declines_dtype(args.x) : "the layouts differ";
}
void forward(ExecContext&, ops::ResampleForwardArgs& args) {
  run(args.x, args.y, args.attributes.axis, WeightList::of(args.attributes), args.attributes.fill);
}

const char* declines_backward(const ExecContext&, const ops::ResampleBackwardArgs& args) {
  return args.dx.format() == args.dy.format() ? declines_dtype(args.dx) : "the layouts differ";
}
void backward(ExecContext&, ops::ResampleBackwardArgs& args) {
  const int axis = args.attributes.axis;
  run(args.dy, args.dx, axis, WeightList::of(args.attributes).transposed(args.dx.shape()[axis]), 0);
}

}  // namespace

void register_resample(KernelSet& set) {
  set.resample.forward.add({"cuda", declines_forward, forward});
  set.resample.backward.add({"cuda", declines_backward, backward});
}

}  // namespace graft::cuda
