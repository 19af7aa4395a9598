// Walk: the way through several tensors of one logical shape at once (broadcast ones have stride
// 0), row by row in the memory order of one of them.
#pragma once
#include <algorithm>

#include "graft/core/runtime/exec_context.h"
#include "graft/kernels/reference/access.h"

namespace graft::reference {

// Strides of an input seen through the output's shape: 0 on stretched axes.
inline Index broadcast_strides(const Tensor& input, const Shape& out) {
  const Index own = element_strides(input);
  Index strides{};
  const int shift = out.rank() - input.rank();
  for (int axis = shift; axis < out.rank(); ++axis)
    if (input.shape()[axis - shift] != 1)
      strides[static_cast<size_t>(axis)] = own[static_cast<size_t>(axis - shift)];
  return strides;
}

template <size_t K>
class Walk {
 public:
  using Offsets = std::array<int64_t, K>;

  // Each tensor's strides are those of the axes of `shape`; the first one's decide the order.
  Walk(const Shape& shape, const std::array<Index, K>& strides) : numel_(shape.numel()) {
    std::array<int, Shape::max_rank> order{};
    for (int axis = 0; axis < shape.rank(); ++axis)
      if (shape[axis] != 1) order[static_cast<size_t>(rank_++)] = axis;
    std::stable_sort(order.begin(), order.begin() + rank_, [&](int a, int b) {
      return strides[0][static_cast<size_t>(a)] > strides[0][static_cast<size_t>(b)];
    });
    const int axes = rank_;
    rank_ = 0;
    for (int i = 0; i < axes; ++i)
      add_axis(shape[order[static_cast<size_t>(i)]], strides,
               static_cast<size_t>(order[static_cast<size_t>(i)]));
    if (rank_ == 0) rank_ = 1;  // one element
  }

  int64_t step(size_t tensor) const {
    return strides_[tensor][static_cast<size_t>(rank_ - 1)];
  }  // within a row

  // Calls f(offsets of a row's first element, elements) for all rows in order. Long rows come in
  // pieces.
  template <class F>
  void for_each_row(F&& f) const {
    for (int64_t piece = 0; piece < pieces(); ++piece) run_piece(piece, f);
  }
  // The same in parallel: for results that no two rows share.
  template <class F>
  void for_each_row(ExecContext& context, F&& f) const {
    const int64_t per_job =
        std::max<int64_t>(1, kPiece / std::max<int64_t>(1, std::min(length(), kPiece)));
    context.parallel_for(ceil_div(pieces(), per_job), [&](int64_t job) {
      for (int64_t piece = job * per_job; piece < std::min(pieces(), (job + 1) * per_job); ++piece)
        run_piece(piece, f);
    });
  }

 private:
  static constexpr int64_t kPiece = 16384;  // elements

  // Appends an axis, or joins it to the one before when every tensor walks both as one.
  void add_axis(int64_t extent, const std::array<Index, K>& strides, size_t axis) {
    const auto last = static_cast<size_t>(std::max(rank_ - 1, 0));
    bool joins = rank_ > 0;
    for (size_t k = 0; k < K; ++k) joins = joins && strides_[k][last] == strides[k][axis] * extent;
    const size_t to = joins ? last : static_cast<size_t>(rank_++);
    extents_[to] = joins ? extents_[to] * extent : extent;
    for (size_t k = 0; k < K; ++k) strides_[k][to] = strides[k][axis];
  }

  int64_t length() const { return extents_[static_cast<size_t>(rank_ - 1)]; }
  int64_t pieces_of_row() const { return ceil_div(length(), kPiece); }
  int64_t pieces() const { return numel_ ? numel_ / length() * pieces_of_row() : 0; }

  template <class F>
  void run_piece(int64_t piece, F&& f) const {
    const int64_t begin = piece % pieces_of_row() * kPiece;
    int64_t row = piece / pieces_of_row();
    Offsets offsets{};
    for (size_t k = 0; k < K; ++k) offsets[k] = begin * step(k);
    for (int axis = rank_ - 2; axis >= 0; --axis) {
      const auto a = static_cast<size_t>(axis);
      for (size_t k = 0; k < K; ++k) offsets[k] += row % extents_[a] * strides_[k][a];
      row /= extents_[a];
    }
    f(offsets, std::min(kPiece, length() - begin));
  }

  int64_t numel_;
  int rank_ = 0;
  Index extents_{1};
  std::array<Index, K> strides_{};
};

// A tensor's memory as [outer, axis, inner].
struct AxisBlocks {
  int64_t outer = 1, inner = 1;
  AxisBlocks(const Tensor& t, int axis) {
    static constexpr int kChannelsLast[] = {0, 2, 3, 1};
    bool before = true;
    for (int i = 0; i < t.rank(); ++i) {
      const int at = t.format() == MemoryFormat::channels_last ? kChannelsLast[i] : i;
      if (at == axis)
        before = false;
      else
        (before ? outer : inner) *= t.shape()[at];
    }
  }
};

// A run of elements, widened for arithmetic.
inline constexpr int64_t kBlock = 256;
template <class A, class T>
void load_block(const T* from, int64_t step, int64_t count, A* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = convert<A>(from[i * step]);
}
template <class A, class T>
void store_block(const A* from, int64_t step, int64_t count, T* to) {
  for (int64_t i = 0; i < count; ++i) to[i * step] = convert<T>(from[i]);
}

}  // namespace graft::reference
