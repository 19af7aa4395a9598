// take where it only exchanges axes, "cpu_permute": runs of memory are copied as such, the rest is
// transposed in blocks that the cache holds. Moves bits, whatever the type.
#include <algorithm>
#include <array>
#include <cstring>

#include "graft/kernels/cpu/engine.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/ops/take.h"

namespace graft::cpu {
namespace {

constexpr int64_t kPermutedElements = 1 << 14;  // of a job
constexpr int64_t kSquare = 32;                 // of a transposed block

// An axis of the result: how many elements, and how far apart they lie in x and in y.
struct PermutedAxis {
  int64_t extent, in, out;
};

// Elements between neighbours on each axis.
std::array<int64_t, Shape::max_rank> strides_of(const Tensor& t) {
  std::array<int64_t, Shape::max_rank> strides{};
  const bool channels_last = t.format() == MemoryFormat::channels_last;
  static constexpr int kChannelsLast[] = {1, 3, 2, 0};
  int64_t step = 1;
  for (int i = 0; i < t.rank(); ++i) {
    const int axis = channels_last ? kChannelsLast[i] : t.rank() - 1 - i;
    strides[static_cast<size_t>(axis)] = step;
    step *= t.shape()[axis];
  }
  return strides;
}

// The axes of y from the outermost in memory to the innermost, those of one element left out and
// those that are one run of x joined. from[i]: which axis of x axis i of y walks.
std::vector<PermutedAxis> permuted_axes(const Tensor& x, const Tensor& y,
                                        const std::vector<int>& from) {
  const auto in = strides_of(x), out = strides_of(y);
  std::vector<PermutedAxis> axes;
  for (int i = 0; i < y.rank(); ++i)
    if (y.shape()[i] > 1)
      axes.push_back({y.shape()[i], in[static_cast<size_t>(from[static_cast<size_t>(i)])],
                      out[static_cast<size_t>(i)]});
  std::sort(axes.begin(), axes.end(),
            [](const PermutedAxis& a, const PermutedAxis& b) { return a.out > b.out; });
  std::vector<PermutedAxis> joined;
  for (const PermutedAxis& axis : axes)
    if (!joined.empty() && joined.back().in == axis.in * axis.extent)
      joined.back() = {joined.back().extent * axis.extent, axis.in, axis.out};
    else
      joined.push_back(axis);
  return joined;
}

// out[c * out_step + r] = in[r * in_step + c].
template <class T>
void transpose_squares(ExecContext& context, const T* in, int64_t in_step, int64_t rows,
                       int64_t columns, T* out, int64_t out_step) {
  for (int64_t r0 = 0; r0 < rows; r0 += kSquare)
    for (int64_t c0 = 0; c0 < columns; c0 += kSquare) {
      const int64_t r1 = std::min(rows, r0 + kSquare), c1 = std::min(columns, c0 + kSquare);
      if constexpr (std::is_same_v<T, float>) {
        kernel_table_for<float>(context).transpose(in + r0 * in_step + c0, in_step, r1 - r0,
                                                   c1 - c0, out + c0 * out_step + r0, out_step);
      } else {
        for (int64_t c = c0; c < c1; ++c)
          for (int64_t r = r0; r < r1; ++r) out[c * out_step + r] = in[r * in_step + c];
      }
    }
}

// Where a job's part begins: the outer axes' indices of part `index`.
struct PermutedPart {
  int64_t in = 0, out = 0;
};
PermutedPart part_at(const std::vector<PermutedAxis>& axes, int64_t index) {
  PermutedPart part;
  for (size_t i = axes.size(); i-- > 0;) {
    const int64_t at = index % axes[i].extent;
    index /= axes[i].extent;
    part.in += at * axes[i].in, part.out += at * axes[i].out;
  }
  return part;
}
int64_t parts_of(const std::vector<PermutedAxis>& axes) {
  int64_t parts = 1;
  for (const PermutedAxis& axis : axes) parts *= axis.extent;
  return parts;
}

// The innermost axis of y is a run of x too.
template <class T>
void copy_runs(ExecContext& context, std::vector<PermutedAxis> axes, const T* x, T* y) {
  const int64_t run = axes.back().extent;
  axes.pop_back();
  const int64_t parts = parts_of(axes), of_job = std::max<int64_t>(1, kPermutedElements / run);
  context.parallel_for(ceil_div(parts, of_job), [&](int64_t job) {
    for (int64_t i = job * of_job; i < std::min(parts, (job + 1) * of_job); ++i) {
      const PermutedPart part = part_at(axes, i);
      std::memcpy(y + part.out, x + part.in, static_cast<size_t>(run) * sizeof(T));
    }
  });
}

// The runs of x lie along `across`, those of y along the innermost axis: matrices to transpose, cut
// into bands of x's rows.
template <class T>
void transpose_all(ExecContext& context, std::vector<PermutedAxis> axes, size_t across, const T* x,
                   T* y) {
  const PermutedAxis rows = axes.back(), columns = axes[across];
  axes.pop_back();
  axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(across));
  const int64_t band = std::min(
      rows.extent, round_up(std::max<int64_t>(1, kPermutedElements / columns.extent), kSquare));
  const int64_t bands = ceil_div(rows.extent, band), parts = parts_of(axes) * bands,
                of_job = std::max<int64_t>(1, kPermutedElements / (band * columns.extent));
  context.parallel_for(ceil_div(parts, of_job), [&](int64_t job) {
    for (int64_t i = job * of_job; i < std::min(parts, (job + 1) * of_job); ++i) {
      const PermutedPart part = part_at(axes, i / bands);
      const int64_t first = i % bands * band;
      transpose_squares(context, x + part.in + first * rows.in, rows.in,
                        std::min(band, rows.extent - first), columns.extent, y + part.out + first,
                        columns.out);
    }
  });
}

template <class T>
void permute_elements(ExecContext& context, const std::vector<PermutedAxis>& axes, const void* x,
                      void* y) {
  const auto* in = static_cast<const T*>(x);
  auto* out = static_cast<T*>(y);
  if (axes.empty()) {
    *out = *in;
    return;
  }
  if (axes.back().in == 1) return copy_runs(context, axes, in, out);
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i].in == 1) return transpose_all(context, axes, i, in, out);
}

void permute(ExecContext& context, const Tensor& x, Tensor& y, const std::vector<int>& from) {
  if (y.numel() == 0) return;
  const std::vector<PermutedAxis> axes = permuted_axes(x, y, from);
  const void* in = x.raw();
  void* out = y.mutable_raw();
  switch (size_of(x.dtype())) {
    case 1: return permute_elements<uint8_t>(context, axes, in, out);
    case 2: return permute_elements<uint16_t>(context, axes, in, out);
    case 4: return permute_elements<float>(context, axes, in, out);
    default: return permute_elements<double>(context, axes, in, out);
  }
}

// Which axis of x each axis of the result walks, or nothing where take does more than that.
std::vector<int> exchanged_axes(const ops::TakeAttributes& attributes, int rank) {
  std::vector<int> from;
  std::array<bool, Shape::max_rank> walked{};
  for (const ops::AxisTake& axis : attributes.axes) {
    if (axis.from < 0 || !axis.whole || walked[static_cast<size_t>(axis.from)]) return {};
    walked[static_cast<size_t>(axis.from)] = true;
    from.push_back(axis.from);
  }
  if (std::ssize(from) != rank) from.clear();
  return from;
}
const char* declines_exchange(const ops::TakeAttributes& attributes, const Tensor& x,
                              const Tensor& y) {
  if (x.rank() == 0 || x.rank() != y.rank()) return "the ranks differ";
  return exchanged_axes(attributes, x.rank()).empty() ? "more than an exchange of axes" : nullptr;
}

const char* declines_permute(const ExecContext&, const ops::TakeForwardArgs& args) {
  return declines_exchange(args.attributes, args.x, args.y);
}
void permute_forward(ExecContext& context, ops::TakeForwardArgs& args) {
  permute(context, args.x, args.y, exchanged_axes(args.attributes, args.x.rank()));
}

const char* declines_permute_gradient(const ExecContext&, const ops::TakeBackwardArgs& args) {
  return declines_exchange(args.attributes, args.dx, args.dy);
}
void permute_gradient(ExecContext& context, ops::TakeBackwardArgs& args) {
  const std::vector<int> from = exchanged_axes(args.attributes, args.dx.rank());
  std::vector<int> back(from.size());
  for (size_t i = 0; i < from.size(); ++i) back[static_cast<size_t>(from[i])] = static_cast<int>(i);
  permute(context, args.dy, args.dx, back);
}

}  // namespace

void register_permute(ops::TakeKernels& kernels) {
  kernels.forward.add({"cpu_permute", declines_permute, permute_forward});
  kernels.backward.add({"cpu_permute", declines_permute_gradient, permute_gradient});
}

}  // namespace graft::cpu
