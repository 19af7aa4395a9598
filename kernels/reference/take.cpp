// take: the element's place in x is a sum of one offset an axis, read from tables.
#include "graft/kernels/ops/take.h"

#include <algorithm>
#include <functional>

#include "graft/core/runtime/exec_context.h"
#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

constexpr int64_t kOutside = -1;

// The axes of the result in its memory order, each with its offsets into x (kOutside: none).
struct OffsetTables {
  int rank = 0;
  std::vector<int64_t> table[Shape::max_rank];
  int64_t rows = 1, length = 1;  // all axes but the last, the last
  bool contiguous = true;        // the last axis walks x's elements one after another

  OffsetTables(const Tensor& x, const Tensor& y, const ops::TakeAttributes& attributes) {
    const Index strides = element_strides(x);
    const bool last = y.format() == MemoryFormat::channels_last;
    static constexpr size_t kChannelsLast[] = {0, 2, 3, 1};
    for (size_t i = 0; i < attributes.axes.size(); ++i) {
      const size_t from = last ? kChannelsLast[i] : i;
      add(attributes.axes[from], y.shape()[static_cast<int>(from)], strides);
    }
    if (rank == 0) table[rank++] = {0};
    const std::vector<int64_t>& inner = table[rank - 1];
    length = static_cast<int64_t>(inner.size());
    for (int axis = 0; axis < rank - 1; ++axis) rows *= static_cast<int64_t>(table[axis].size());
    for (size_t i = 0; i < inner.size(); ++i)
      contiguous = contiguous && inner[i] == inner[0] + static_cast<int64_t>(i) && inner[0] >= 0;
  }

  // x's offset at the start of a row; kOutside when one of its axes lies outside.
  int64_t row_offset(int64_t row) const {
    int64_t offset = 0;
    for (int axis = rank - 2; axis >= 0; --axis) {
      const auto extent = static_cast<int64_t>(table[axis].size());
      const int64_t at = table[axis][static_cast<size_t>(row % extent)];
      if (at == kOutside) return kOutside;
      offset += at;
      row /= extent;
    }
    return offset;
  }

 private:
  void add(const ops::AxisTake& axis, int64_t extent, const Index& strides) {
    std::vector<int64_t>& offsets = table[rank++];
    offsets.resize(static_cast<size_t>(extent));
    if (axis.from < 0) return;
    const int64_t stride = strides[static_cast<size_t>(axis.from)];
    for (size_t i = 0; i < offsets.size(); ++i) {
      const int64_t position = axis.whole ? static_cast<int64_t>(i) : axis.positions[i];
      offsets[i] = position < 0 ? kOutside : position * stride;
    }
  }
};

void forward(ExecContext& context, ops::TakeForwardArgs& args) {
  if (args.y.numel() == 0) return;
  const OffsetTables tables(args.x, args.y, args.attributes);
  const int64_t rows_of_job = std::max<int64_t>(1, 16384 / tables.length);
  visit_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = args.x.data<T>();
    const T fill = convert<T>(args.attributes.fill);
    T* y = args.y.mutable_data<T>();
    const std::vector<int64_t>& inner = tables.table[tables.rank - 1];
    context.parallel_for(ceil_div(tables.rows, rows_of_job), [&](int64_t job) {
      for (int64_t row = job * rows_of_job; row < std::min(tables.rows, (job + 1) * rows_of_job);
           ++row) {
        const int64_t base = tables.row_offset(row);
        T* out = y + row * tables.length;
        if (base == kOutside)
          std::fill(out, out + tables.length, fill);
        else if (tables.contiguous)
          std::copy(x + base + inner[0], x + base + inner[0] + tables.length, out);
        else
          for (int64_t i = 0; i < tables.length; ++i) {
            const int64_t at = inner[static_cast<size_t>(i)];
            out[i] = at == kOutside ? fill : x[base + at];
          }
      }
    });
  });
}

// No element of x is taken twice: positions rise or fall all along, and no axis repeats the others.
bool takes_once(const ops::TakeAttributes& attributes) {
  for (const ops::AxisTake& axis : attributes.axes) {
    if (axis.from < 0 && axis.extent != 1) return false;
    if (axis.from < 0 || axis.whole) continue;
    const std::vector<int64_t>& p = axis.positions;
    const bool outside = std::find(p.begin(), p.end(), kOutside) != p.end();
    const bool rises = std::adjacent_find(p.begin(), p.end(), std::greater_equal<>()) == p.end();
    const bool falls = std::adjacent_find(p.begin(), p.end(), std::less_equal<>()) == p.end();
    if (outside || !(rises || falls)) return false;
  }
  return true;
}

// The gradient when no element was taken twice: dy's elements go back to their places.
template <class T>
void put_back(ExecContext& context, const OffsetTables& tables, const T* dy, T* dx) {
  const std::vector<int64_t>& inner = tables.table[tables.rank - 1];
  const int64_t rows_of_job = std::max<int64_t>(1, 16384 / tables.length);
  context.parallel_for(ceil_div(tables.rows, rows_of_job), [&](int64_t job) {
    for (int64_t row = job * rows_of_job; row < std::min(tables.rows, (job + 1) * rows_of_job);
         ++row) {
      T* to = dx + tables.row_offset(row);
      for (int64_t i = 0; i < tables.length; ++i)
        to[inner[static_cast<size_t>(i)]] = dy[row * tables.length + i];
    }
  });
}

void backward(ExecContext& context, ops::TakeBackwardArgs& args) {
  visit_floating(args.dx.dtype(), "take", [&](auto zero) {
    using T = decltype(zero);
    if (args.dy.numel() == 0)
      return std::fill(args.dx.mutable_data<T>(), args.dx.mutable_data<T>() + args.dx.numel(),
                       zero);
    const OffsetTables tables(args.dx, args.dy, args.attributes);
    if (takes_once(args.attributes)) {
      T* dx = args.dx.mutable_data<T>();
      if (args.dx.numel() != args.dy.numel()) std::fill(dx, dx + args.dx.numel(), zero);
      return put_back(context, tables, args.dy.data<T>(), dx);
    }
    using A = Accumulator<T>;
    std::vector<A> sums(static_cast<size_t>(args.dx.numel()));
    const T* dy = args.dy.data<T>();
    const std::vector<int64_t>& inner = tables.table[tables.rank - 1];
    for (int64_t row = 0; row < tables.rows; ++row) {
      const int64_t base = tables.row_offset(row);
      if (base == kOutside) continue;
      for (int64_t i = 0; i < tables.length; ++i) {
        const int64_t at = inner[static_cast<size_t>(i)];
        if (at != kOutside)
          sums[static_cast<size_t>(base + at)] += convert<A>(dy[row * tables.length + i]);
      }
    }
    T* dx = args.dx.mutable_data<T>();
    for (size_t i = 0; i < sums.size(); ++i) dx[i] = convert<T>(sums[i]);
  });
}

}  // namespace

void register_take(ops::TakeKernels& kernels) {
  kernels.forward.add({"reference", takes_all, forward});
  kernels.backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
