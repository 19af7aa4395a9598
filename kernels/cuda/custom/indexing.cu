// Gather and scatter. An index outside of x gives NaN (0 for integers) and no gradient, and an
// update there goes nowhere: looking at it would wait for the GPU. What meets in one element is
// combined in its order, sorted by where it goes.
#include <cmath>

#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/indexed_places.h"
#include "graft/kernels/cuda/custom/sorted_targets.h"
#include "graft/kernels/cuda/device/convert_element.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

using ops::ScatterReduction;

template <class Bits, int N>
struct Gather {
  static constexpr const char* name = "gather forward";
  static constexpr int group = N;
  Span<const Bits> x;
  Span<Bits> y;
  IndexedTensor from;
  Bits outside;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t block = from.places.block, start = from.start(i / block);
    Group<Bits, M> v;
    if (start >= 0)
      v = x.template load_group<M>(start + i % block);
    else
      for (int j = 0; j < M; ++j) v.v[j] = outside;
    y.template store_group<M>(i, v);
  }
};

// The entries' blocks as targets.
struct BlockTarget {
  IndexedTensor to;
  GRAFT_HD int64_t target(int64_t k) const {
    const int64_t start = to.start(k);
    return start < 0 ? kNoTarget : start;
  }
};

// Where a run of entries begins, `at` sums them: element j of the target's block. dx is 0
// elsewhere.
template <class T, int N>
struct GatherBackward {
  static constexpr const char* name = "gather backward";
  static constexpr int group = N;
  Span<const T> dy;
  Span<T> dx;
  Targets targets;
  int64_t block;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t first = i / block, j = i % block, target = targets.run_at(first);
    if (target < 0) return;
    float sums[M] = {};
    for (int64_t p = first; targets.goes_on(p, target); ++p) {
      const Group<T, M> v = dy.template load_group<M>(targets.entries.load(p) * block + j);
      for (int m = 0; m < M; ++m) sums[m] += to_float(v.v[m]);
    }
    Group<T, M> result;
    for (int m = 0; m < M; ++m) result.v[m] = from_float<T>(sums[m]);
    dx.template store_group<M>(target + j, result);
  }
};

template <class A>
GRAFT_HD A combine_update(ScatterReduction reduction, A old, A update) {
  switch (reduction) {
    case ScatterReduction::add:
      if constexpr (std::is_integral_v<A>)
        return static_cast<A>(static_cast<uint64_t>(old) + static_cast<uint64_t>(update));
      else
        return old + update;
    case ScatterReduction::mul:
      if constexpr (std::is_integral_v<A>)
        return static_cast<A>(static_cast<uint64_t>(old) * static_cast<uint64_t>(update));
      else
        return old * update;
    case ScatterReduction::max: return update > old || update != update ? update : old;
    case ScatterReduction::min: return update < old || update != update ? update : old;
    default: return update;
  }
}

// y is a copy of x.
template <class T>
struct Scatter {
  static constexpr const char* name = "scatter forward";
  static constexpr int group = 1;
  Span<const T> updates;
  Span<T> y;
  Targets targets;
  int64_t block;
  ScatterReduction reduction;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t first = i / block, j = i % block, target = targets.run_at(first);
    if (target < 0) return;
    Wide<T> value = widen(y.load(target + j));
    for (int64_t p = first; targets.goes_on(p, target); ++p)
      value = combine_update(reduction, value,
                             widen(updates.load(targets.entries.load(p) * block + j)));
    y.store(target + j, narrow<T>(value));
  }
};

// The gradients of all values that meet in one element: dx is a copy of dy, which it is where
// nothing meets.
template <class T>
struct ScatterBackward {
  static constexpr const char* name = "scatter backward";
  static constexpr int group = 1;
  Span<const T> x, updates, y, dy;
  Span<T> dx, dupdates;  // or empty
  Targets targets;
  int64_t block;
  ScatterReduction reduction;

  // The product of the others, zeros counted apart; or a part where the value is the extreme.
  struct Share {
    float product = 1, zeros = 0, equal = 0, extreme = 0;
    GRAFT_HD void meet(float value) {
      if (value == 0)
        zeros += 1;
      else
        product *= value;
      equal += value == extreme ? 1.f : 0.f;
    }
    GRAFT_HD float of(ScatterReduction reduction, float value) const {
      if (reduction == ScatterReduction::add) return 1;
      if (reduction != ScatterReduction::mul) return value == extreme ? 1.f / equal : 0.f;
      return value == 0 ? (zeros == 1 ? product : 0.f) : (zeros == 0 ? product / value : 0.f);
    }
  };

  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t first = i / block, j = i % block, target = targets.run_at(first);
    if (target < 0) return;
    const int64_t place = target + j;
    const float g = to_float(dy.load(place)), own = to_float(x.load(place));
    const bool replaces = reduction == ScatterReduction::none;
    const auto update_at = [&](int64_t p) { return targets.entries.load(p) * block + j; };
    Share share;
    share.extreme = to_float(y.load(place));
    share.meet(own);
    int64_t end = first;
    for (; targets.goes_on(end, target); ++end)
      if (!replaces) share.meet(to_float(updates.load(update_at(end))));
    if (dx) dx.store(place, from_float<T>(replaces ? 0.f : g * share.of(reduction, own)));
    if (!dupdates) return;
    for (int64_t p = first; p < end; ++p) {
      const int64_t update = update_at(p);
      const float part = replaces ? (p + 1 == end ? 1.f : 0.f)
                                  : share.of(reduction, to_float(updates.load(update)));
      dupdates.store(update, from_float<T>(part == 0 ? 0.f : g * part));
    }
  }
};

const char* declines_indices(const Tensor& x, const Tensor& indices) {
  if (indices.dtype() != DType::i64 && indices.dtype() != DType::i32)
    return "indices are neither i64 nor i32";
  return indices.device() == x.device() ? nullptr : "the indices are on another device";
}

template <class Bits>
Bits bits_of_element(const Tensor& element) {
  return *static_cast<const Bits*>(element.raw());
}

const char* declines_gather(const ExecContext&, const ops::GatherForwardArgs& args) {
  return declines_indices(args.x, args.indices);
}
void gather(ExecContext&, ops::GatherForwardArgs& args) {
  if (args.y.numel() == 0) return;
  const ops::GatherAttributes& a = args.attributes;
  const IndexedTensor from =
      IndexedTensor::of(args.x.shape(), args.indices, a.indexing, a.axis, a.batch_axes);
  const Tensor outside = Tensor::scalar(is_floating(args.x.dtype()) ? NAN : 0, args.x.dtype());
  visit_size(args.x.dtype(), [&](auto zero) {
    using Bits = decltype(zero);
    visit_group<Bits>(
        from.places.block % kGroup<Bits> == 0 && is_aligned(args.x) && is_aligned(args.y),
        [&](auto n) {
          launch_map(device_of(args.x), args.y.numel(),
                     Gather<Bits, n()>{span<Bits>(args.x), mutable_span<Bits>(args.y), from,
                                       bits_of_element<Bits>(outside)});
        });
  });
}

const char* declines_gather_backward(const ExecContext&, const ops::GatherBackwardArgs& args) {
  if (const char* reason = declines_dtype(args.dx)) return reason;
  return declines_indices(args.dx, args.indices);
}
void gather_backward(ExecContext&, ops::GatherBackwardArgs& args) {
  const gpu::OperationName operation("gather backward");
  if (args.dx.numel() == 0) return;
  gpu::Device& device = device_of(args.dx);
  device.set_bytes(args.dx.mutable_raw(), 0, args.dx.bytes());
  if (args.dy.numel() == 0) return;
  const ops::GatherAttributes& a = args.attributes;
  const IndexedTensor to =
      IndexedTensor::of(args.dx.shape(), args.indices, a.indexing, a.axis, a.batch_axes);
  const SortedTargets sorted = sort_by_target(args.dx.device(), to.places.count, BlockTarget{to});
  visit_kernel_dtype(args.dx.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_group<T>(to.places.block % kGroup<T> == 0 && is_aligned(args.dy) && is_aligned(args.dx),
                   [&](auto n) {
                     launch_map(device, args.dy.numel(),
                                GatherBackward<T, n()>{span<T>(args.dy), mutable_span<T>(args.dx),
                                                       sorted.view(), to.places.block});
                   });
  });
}

const char* declines_scatter(const ExecContext&, const ops::ScatterForwardArgs& args) {
  if (args.updates.device() != args.x.device()) return "the updates are on another device";
  return args.x.dtype() == DType::f64 ? "no f64" : declines_indices(args.x, args.indices);
}
void scatter(ExecContext&, ops::ScatterForwardArgs& args) {
  const gpu::OperationName operation("scatter forward");
  gpu::Device& device = device_of(args.x);
  if (args.x.numel() == 0) return;
  device.copy(args.y.mutable_raw(), args.x.raw(), args.x.bytes(), gpu::CopyKind::on_device);
  if (args.updates.numel() == 0) return;
  const IndexedTensor to = IndexedTensor::of(args.x.shape(), args.indices, args.attributes.indexing,
                                             args.attributes.axis);
  const SortedTargets sorted = sort_by_target(args.x.device(), to.places.count, BlockTarget{to});
  visit_number_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_map(device, args.updates.numel(),
               Scatter<T>{span<T>(args.updates), mutable_span<T>(args.y), sorted.view(),
                          to.places.block, args.attributes.reduction});
  });
}

const char* declines_scatter_backward(const ExecContext&, const ops::ScatterBackwardArgs& args) {
  if (const char* reason = declines_dtype(args.x)) return reason;
  return declines_indices(args.x, args.indices);
}
void scatter_backward(ExecContext&, ops::ScatterBackwardArgs& args) {
  const gpu::OperationName operation("scatter backward");
  gpu::Device& device = device_of(args.x);
  if (args.dx && args.x.numel() > 0)
    device.copy(args.dx->mutable_raw(), args.dy.raw(), args.dy.bytes(), gpu::CopyKind::on_device);
  if (args.updates.numel() == 0) return;
  if (args.dupdates)
    device.set_bytes(args.dupdates->mutable_raw(), 0,
                     args.dupdates->bytes());  // stays for those outside
  if (args.x.numel() == 0) return;
  const IndexedTensor to = IndexedTensor::of(args.x.shape(), args.indices, args.attributes.indexing,
                                             args.attributes.axis);
  const SortedTargets sorted = sort_by_target(args.x.device(), to.places.count, BlockTarget{to});
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_map(device, args.updates.numel(),
               ScatterBackward<T>{span<T>(args.x), span<T>(args.updates), span<T>(args.y),
                                  span<T>(args.dy), mutable_span<T>(args.dx),
                                  mutable_span<T>(args.dupdates), sorted.view(), to.places.block,
                                  args.attributes.reduction});
  });
}

}  // namespace

void register_indexing(KernelSet& set) {
  set.indexing.gather_forward.add({"cuda", declines_gather, gather});
  set.indexing.gather_backward.add({"cuda", declines_gather_backward, gather_backward});
  set.indexing.scatter_forward.add({"cuda", declines_scatter, scatter});
  set.indexing.scatter_backward.add({"cuda", declines_scatter_backward, scatter_backward});
}

}  // namespace graft::cuda
