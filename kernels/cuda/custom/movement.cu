// Elements that only move: concat, pad and take. Bits of any dtype go forward; gradients of take
// are sums.
#include <vector>

#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/axes.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"
#include "graft/kernels/ops/shape_change.h"
#include "graft/kernels/ops/take.h"

namespace graft::cuda {
namespace {

template <class Bits, int N>
struct CopyRows {
  static constexpr const char* name = "concat";
  static constexpr int group = N;
  Span<const Bits> x;
  Span<Bits> y;
  int64_t width, x_pitch, x_begin, y_pitch, y_begin;  // in elements
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t row = i / width, column = i % width;
    y.template store_group<M>(row * y_pitch + y_begin + column,
                              x.template load_group<M>(row * x_pitch + x_begin + column));
  }
};

// `rows` rows of `width` elements.
void copy_rows(const Tensor& x, Tensor& y, int64_t rows, int64_t width, int64_t x_pitch,
               int64_t x_begin, int64_t y_pitch, int64_t y_begin) {
  visit_size(x.dtype(), [&](auto zero) {
    using Bits = decltype(zero);
    const bool grouped = is_aligned(x) && is_aligned(y) &&
                         (width | x_pitch | x_begin | y_pitch | y_begin) % kGroup<Bits> == 0;
    visit_group<Bits>(grouped, [&](auto n) {
      launch_map(device_of(x), rows * width,
                 CopyRows<Bits, n()>{span<Bits>(x), mutable_span<Bits>(y), width, x_pitch, x_begin,
                                     y_pitch, y_begin});
    });
  });
}

// Elements of a tensor's memory per step of the axis, and rows of such blocks.
struct AxisRows {
  int64_t inner = 1, rows = 1;
  AxisRows(const Tensor& t, int axis) {
    inner = stride_in_memory(t, axis);
    const int64_t block = inner * t.shape()[axis];
    rows = block ? t.numel() / block : 0;
  }
};

const char* declines_concat(const ExecContext&, const ops::ConcatForwardArgs& args) {
  for (const Tensor& x : args.inputs)
    if (x.format() != args.y.format()) return "the layouts differ";
  return nullptr;
}
void concat_forward(ExecContext&, ops::ConcatForwardArgs& args) {
  if (args.y.numel() == 0) return;
  const AxisRows rows(args.y, args.axis);
  const int64_t pitch = rows.inner * args.y.shape()[args.axis];
  int64_t begin = 0;
  for (const Tensor& x : args.inputs) {
    const int64_t width = rows.inner * x.shape()[args.axis];
    if (width > 0) copy_rows(x, args.y, rows.rows, width, width, 0, pitch, begin);
    begin += width;
  }
}
const char* declines_concat_backward(const ExecContext&, const ops::ConcatBackwardArgs& args) {
  for (const Tensor& dx : args.dinputs)
    if (dx.defined() && dx.format() != args.dy.format()) return "the layouts differ";
  return nullptr;
}
void concat_backward(ExecContext&, ops::ConcatBackwardArgs& args) {
  if (args.dy.numel() == 0) return;
  const AxisRows rows(args.dy, args.axis);
  const int64_t pitch = rows.inner * args.dy.shape()[args.axis];
  int64_t begin = 0;
  for (size_t i = 0; i < args.dinputs.size(); ++i) {
    const int64_t width = rows.inner * args.extents[i];
    if (args.dinputs[i].defined() && width > 0)
      copy_rows(args.dy, args.dinputs[i], rows.rows, width, pitch, begin, width, 0);
    begin += width;
  }
}

// y's element (.., i, ..) is x's (.., i + shift, ..), or `fill` outside of x. Axes in memory order,
// the fastest first.
template <class Bits>
struct ShiftedCopy {
  static constexpr const char* name = "pad";
  static constexpr int group = 1;
  Span<const Bits> x;
  Span<Bits> y;
  int axes;
  int64_t x_extent[Shape::max_rank], y_extent[Shape::max_rank], shift[Shape::max_rank];
  Bits fill;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    int64_t from = 0, stride = 1, left = i;
    for (int axis = 0; axis < axes; ++axis) {
      const int64_t place = left % y_extent[axis] + shift[axis];
      if (place < 0 || place >= x_extent[axis]) return y.store(i, fill);
      from += place * stride;
      stride *= x_extent[axis];
      left /= y_extent[axis];
    }
    y.store(i, x.load(from));
  }
};

void shifted_copy(const Tensor& x, Tensor& y, const std::vector<int64_t>& begin, int sign,
                  double value) {
  const Tensor fill = Tensor::scalar(value, y.dtype());
  visit_size(x.dtype(), [&](auto zero) {
    using Bits = decltype(zero);
    ShiftedCopy<Bits> copy{span<Bits>(x),
                           mutable_span<Bits>(y),
                           x.rank(),
                           {},
                           {},
                           {},
                           *static_cast<const Bits*>(fill.raw())};
    for (int place = 0; place < x.rank(); ++place) {
      const int axis = axis_in_memory(x, place);
      copy.x_extent[place] = x.shape()[axis], copy.y_extent[place] = y.shape()[axis];
      copy.shift[place] = sign * begin[static_cast<size_t>(axis)];
    }
    launch_map(device_of(x), y.numel(), copy);
  });
}
const char* declines_pad(const ExecContext&, const ops::PadForwardArgs& args) {
  return args.x.format() == args.y.format() ? nullptr : "the layouts differ";
}
void pad_forward(ExecContext&, ops::PadForwardArgs& args) {
  shifted_copy(args.x, args.y, args.attributes.begin, -1, args.attributes.value);
}
const char* declines_pad_backward(const ExecContext&, const ops::PadBackwardArgs& args) {
  return args.dx.format() == args.dy.format() ? nullptr : "the layouts differ";
}
void pad_backward(ExecContext&, ops::PadBackwardArgs& args) {
  shifted_copy(args.dy, args.dx, args.attributes.begin, 1, 0);
}

// How an axis of the result walks x: in even steps, or by a table of offsets (-1: outside).
struct TakenAxis {
  int64_t extent = 1, start = 0, step = 0;
  int64_t table = -1;  // where it begins in the tables; -1: steps
};
template <class Bits>
struct Take {
  static constexpr const char* name = "take forward";
  static constexpr int group = 1;
  Span<const Bits> x;
  Span<Bits> y;
  Span<const int64_t> tables;
  int axes;
  TakenAxis axis[Shape::max_rank];  // in the result's memory order, the fastest first
  Bits fill;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    int64_t from = 0, left = i;
    for (int a = 0; a < axes; ++a) {
      const int64_t place = left % axis[a].extent;
      left /= axis[a].extent;
      if (axis[a].table < 0) {
        from += axis[a].start + place * axis[a].step;
      } else {
        const int64_t offset = tables.load(axis[a].table + place);
        if (offset < 0) return y.store(i, fill);
        from += offset;
      }
    }
    y.store(i, x.load(from));
  }
};

// Positions in even steps need no table.
bool in_steps(const std::vector<int64_t>& positions, int64_t& start, int64_t& step) {
  start = positions.empty() ? 0 : positions[0];
  step = positions.size() < 2 ? 0 : positions[1] - positions[0];
  for (size_t i = 0; i < positions.size(); ++i)
    if (positions[i] < 0 || positions[i] != start + static_cast<int64_t>(i) * step) return false;
  return true;
}

Tensor on_device(const std::vector<int64_t>& values, const Tensor& x) {
  return values.empty() ? Tensor() : lists_of(x).find(values);
}

void take_forward(ExecContext&, ops::TakeForwardArgs& args) {
  if (args.y.numel() == 0) return;
  const gpu::OperationName operation("take forward");
  const Tensor& x = args.x;
  TakenAxis axes[Shape::max_rank];
  std::vector<int64_t> tables;
  for (int place = 0; place < args.y.rank(); ++place) {
    const int y_axis = axis_in_memory(args.y, place);
    const ops::AxisTake& take = args.attributes.axes[static_cast<size_t>(y_axis)];
    TakenAxis& axis = axes[place];
    axis.extent = args.y.shape()[y_axis];
    if (take.from < 0) continue;  // repeats
    const int64_t stride = stride_in_memory(x, take.from);
    if (take.whole) {
      axis.step = stride;
    } else if (in_steps(take.positions, axis.start, axis.step)) {
      axis.start *= stride, axis.step *= stride;
    } else {
      axis.table = static_cast<int64_t>(tables.size());
      for (const int64_t position : take.positions)
        tables.push_back(position < 0 ? -1 : position * stride);
    }
  }
  const Tensor table = on_device(tables, x), fill = Tensor::scalar(args.attributes.fill, x.dtype());
  visit_size(x.dtype(), [&](auto zero) {
    using Bits = decltype(zero);
    Take<Bits> take{span<Bits>(x),
                    mutable_span<Bits>(args.y),
                    span<int64_t>(table.defined() ? &table : nullptr),
                    args.y.rank(),
                    {},
                    *static_cast<const Bits*>(fill.raw())};
    std::copy(axes, axes + args.y.rank(), take.axis);
    launch_map(device_of(x), args.y.numel(), take);
  });
}

// Where the elements of one axis of x went: [first(i), first(i + 1)) of a list of offsets into dy;
// or one place in even steps.
struct GivenAxis {
  int64_t extent = 1, step = 0;
  int64_t first = -1, list = -1;  // where they begin in the tables; -1: all went to i * step
};
template <class T>
struct TakeBackward {
  static constexpr const char* name = "take backward";
  static constexpr int group = 1;
  Span<const T> dy;
  Span<T> dx;
  Span<const int64_t> tables;
  int axes;
  GivenAxis axis[Shape::max_rank];  // of dx in its memory order, the fastest first
  Axes repeats;                     // the result's added axes
  int64_t repeat_count;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    int64_t base = 0, places = repeat_count, left = i;
    int64_t begin[Shape::max_rank], count[Shape::max_rank];
    GRAFT_UNROLL
    for (int a = 0; a < Shape::max_rank; ++a) {
      begin[a] = -1, count[a] = 1;
      if (a >= axes) continue;
      const int64_t place = left % axis[a].extent;
      left /= axis[a].extent;
      if (axis[a].first < 0) {
        base += place * axis[a].step;
        continue;
      }
      const int64_t first = tables.load(axis[a].first + place);
      begin[a] = axis[a].list + first;
      count[a] = tables.load(axis[a].first + place + 1) - first;
      places *= count[a];
    }
    float sum = 0;
    for (int64_t n = 0; n < places; ++n) {
      int64_t at_dy = base, rest = n;
      GRAFT_UNROLL
      for (int a = 0; a < Shape::max_rank; ++a) {
        if (begin[a] < 0) continue;
        at_dy += tables.load(begin[a] + rest % count[a]);
        rest /= count[a];
      }
      sum += to_float(dy.load(at_dy + repeats.offset(rest)));
    }
    dx.store(i, from_float<T>(sum));
  }
};

const char* declines_take_backward(const ExecContext&, const ops::TakeBackwardArgs& args) {
  return declines_dtype(args.dx);
}

void take_backward(ExecContext&, ops::TakeBackwardArgs& args) {
  const gpu::OperationName operation("take backward");
  Tensor& dx = args.dx;
  if (dx.numel() == 0) return;
  const ops::TakeAttributes& attributes = args.attributes;
  GivenAxis axes[Shape::max_rank];
  std::vector<int64_t> tables;
  Axes repeats;
  int64_t repeat_count = 1;
  for (int place = 0; place < args.dy.rank(); ++place) {
    const int y_axis = axis_in_memory(args.dy, place);
    const ops::AxisTake& take = attributes.axes[static_cast<size_t>(y_axis)];
    if (take.from >= 0) continue;
    repeats.add(args.dy.shape()[y_axis], stride_in_memory(args.dy, y_axis));
    repeat_count *= args.dy.shape()[y_axis];
  }
  for (int place = 0; place < dx.rank(); ++place) {
    const int axis = axis_in_memory(dx, place);
    GivenAxis& given = axes[place];
    given.extent = dx.shape()[axis];
    const auto found = std::find_if(attributes.axes.begin(), attributes.axes.end(),
                                    [&](const ops::AxisTake& t) { return t.from == axis; });
    if (found == attributes.axes.end()) continue;  // of one element, which stands at offset 0
    const int64_t stride =
        stride_in_memory(args.dy, static_cast<int>(found - attributes.axes.begin()));
    if (found->whole) {
      given.step = stride;
      continue;
    }
    std::vector<std::vector<int64_t>> went(static_cast<size_t>(given.extent));
    for (size_t i = 0; i < found->positions.size(); ++i)
      if (found->positions[i] >= 0)
        went[static_cast<size_t>(found->positions[i])].push_back(static_cast<int64_t>(i) * stride);
    given.first = static_cast<int64_t>(tables.size());
    int64_t count = 0;
    for (const auto& list : went)
      tables.push_back(count), count += static_cast<int64_t>(list.size());
    tables.push_back(count);
    given.list = static_cast<int64_t>(tables.size());
    for (const auto& list : went) tables.insert(tables.end(), list.begin(), list.end());
  }
  const Tensor table = on_device(tables, dx);
  visit_kernel_dtype(dx.dtype(), [&](auto zero) {
    using T = decltype(zero);
    TakeBackward<T> back{span<T>(args.dy),
                         mutable_span<T>(dx),
                         span<int64_t>(table.defined() ? &table : nullptr),
                         dx.rank(),
                         {},
                         repeats,
                         repeat_count};
    std::copy(axes, axes + dx.rank(), back.axis);
    launch_map(device_of(dx), dx.numel(), back);
  });
}

}  // namespace

void register_movement(KernelSet& set) {
  set.shape_change.concat_forward.add({"cuda", declines_concat, concat_forward});
  set.shape_change.concat_backward.add({"cuda", declines_concat_backward, concat_backward});
  set.shape_change.pad_forward.add({"cuda", declines_pad, pad_forward});
  set.shape_change.pad_backward.add({"cuda", declines_pad_backward, pad_backward});
  set.take.forward.add({"cuda", takes_all, take_forward});
  set.take.backward.add({"cuda", declines_take_backward, take_backward});
}

}  // namespace graft::cuda
