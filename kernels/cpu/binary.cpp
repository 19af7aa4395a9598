// Arithmetic of two tensors, one of which may be stretched over neighbouring axes: a number for
// all, a row for every pixel, a gate for every channel of a sample. Any memory order that both
// have.
#include "graft/kernels/ops/binary.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "graft/kernels/cpu/engine.h"
#include "graft/kernels/cpu/register.h"

namespace graft::cpu {
namespace {

constexpr int64_t kBinaryElements = 32768;  // of a job
constexpr int64_t kSummedRows = 512;        // that one partial sum is of

// The result's memory as [outer][middle][inner]; one input has no middle: its [inner] stands beside
// each of them. Where none is stretched all is inner.
struct Stretch {
  int64_t outer = 1, middle = 1, inner = 1;
  bool first = false, second = false;  // which input it is
  int64_t rows() const { return outer * middle; }
};

struct MemoryOrder {
  std::array<int, Shape::max_rank> axes{};
  int count = 0;
};
// Axes of the result in the order in which a tensor's memory has them, without those of extent 1.
MemoryOrder memory_order(const Tensor& t, int result_rank) {
  static constexpr int kChannelsLast[] = {0, 2, 3, 1};
  MemoryOrder order;
  for (int i = 0; i < t.rank(); ++i) {
    const int axis =
        t.rank() == 4 && t.format() == MemoryFormat::channels_last ? kChannelsLast[i] : i;
    if (t.shape()[axis] != 1)
      order.axes[static_cast<size_t>(order.count++)] = axis + result_rank - t.rank();
  }
  return order;
}

// None: they meet in a way that has no loop here.
std::optional<Stretch> stretch_of(const Tensor& a, const Tensor& b, const Tensor& y) {
  const MemoryOrder order = memory_order(y, y.rank());
  Stretch stretch;
  const Tensor* inputs[] = {&a, &b};
  bool seen[2] = {false, false}, behind = false;  // behind: the stretched axes are over
  MemoryOrder own[2] = {memory_order(a, y.rank()), memory_order(b, y.rank())};
  int next[2] = {0, 0};
  for (int i = 0; i < order.count; ++i) {
    const int axis = order.axes[static_cast<size_t>(i)];
    const int64_t extent = y.shape()[axis];
    bool stretched = false;
    for (size_t k = 0; k < 2; ++k) {
      const int at = axis - (y.rank() - inputs[k]->rank());
      if (at >= 0 && inputs[k]->shape()[at] == extent) {
        if (own[k].axes[static_cast<size_t>(next[k]++)] != axis) return std::nullopt;
        continue;
      }
      seen[k] = stretched = true;
    }
    if (stretched) {
      if (behind) return std::nullopt;
      stretch.middle *= extent;
      // What was inner so far lies before the stretched axes.
      stretch.outer *= stretch.inner, stretch.inner = 1;
    } else {
      behind = seen[0] || seen[1];
      stretch.inner *= extent;
    }
  }
  if (seen[0] && seen[1]) return std::nullopt;
  stretch.first = seen[0], stretch.second = seen[1];
  return stretch;
}

const char* declines_types(const Tensor& a, const Tensor& b, const Tensor& y) {
  return is_image_dtype(y.dtype()) && a.dtype() == y.dtype() && b.dtype() == y.dtype()
             ? nullptr
             : "only f32, f64 and bf16";
}

const char* declines_binary(const ExecContext&, const ops::BinaryForwardArgs& args) {
  if (args.attributes.function > ops::Binary::div) return "only the four rules of arithmetic";
  if (const char* reason = declines_types(args.a, args.b, args.y)) return reason;
  return stretch_of(args.a, args.b, args.y) ? nullptr
                                            : "the inputs' memory is stretched in several places";
}

// y = a (function) b, the inputs stretched as said.
template <class T>
void compute_stretched(ExecContext& context, const Stretch& s, const T* a, const T* b,
                       ops::Binary function, T* y) {
  const ChannelKernels<T>& kernels = channel_kernels_for<T>(context);
  const int which = static_cast<int>(function);
  if (s.inner == 1 || s.rows() == 1) {  // one element, or none, beside each run
    const int64_t count = s.inner == 1 ? s.middle : s.inner,
                  pieces = ceil_div(count, kBinaryElements), runs = s.outer,
                  each = std::max<int64_t>(1, kBinaryElements / std::max<int64_t>(1, count));
    context.parallel_for(ceil_div(runs, each) * pieces, [&](int64_t job) {
      const int64_t at = job % pieces * kBinaryElements,
                    part = std::min(kBinaryElements, count - at), first = job / pieces * each;
      for (int64_t run = first; run < std::min(runs, first + each); ++run) {
        const int64_t from = run * count + at;
        kernels.binary(s.first ? a + run : a + from, s.first, s.second ? b + run : b + from,
                       s.second, part, which, y + from);
      }
    });
    return;
  }
  const int64_t each = std::max<int64_t>(1, kBinaryElements / s.inner);
  context.parallel_for(ceil_div(s.rows(), each), [&](int64_t job) {
    const int64_t last = std::min(s.rows(), (job + 1) * each);
    for (int64_t row = job * each; row < last;) {
      const int64_t group = row / s.middle, end = std::min(last, (group + 1) * s.middle);
      kernels.binary_rows(a + (s.first ? group : row) * s.inner, s.first ? 0 : s.inner,
                          b + (s.second ? group : row) * s.inner, s.second ? 0 : s.inner, end - row,
                          s.inner, which, y + row * s.inner);
      row = end;
    }
  });
}

void binary_forward(ExecContext& context, ops::BinaryForwardArgs& args) {
  if (args.y.numel() == 0) return;
  const Stretch stretch = *stretch_of(args.a, args.b, args.y);
  visit_image_dtype(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    compute_stretched<T>(context, stretch, image_data<T>(args.a), image_data<T>(args.b),
                         args.attributes.function, mutable_image_data<T>(args.y));
  });
}

// [outer][inner] sums over the middle of x * y, or of x where y is null, times sign. Blocks of rows
// are summed in the images' own precision and added up in double, in their order.
template <class T>
void sum_middle(ExecContext& context, const Stretch& s, const T* x, const T* y, double sign,
                Tensor& to) {
  using P = typename ParameterOf<T>::type;
  // Runs of single elements are summed in columns, and those at the end.
  constexpr int64_t columns = 16;
  const bool single = s.inner == 1;
  const int64_t width = single ? columns : s.inner, rows = single ? s.middle / columns : s.middle,
                rest = single ? s.middle % columns : 0, blocks = ceil_div(rows, kSummedRows);
  const ChannelKernels<T>& kernels = channel_kernels_for<T>(context);
  const Scratch<P> partial(std::max<int64_t>(1, s.outer * blocks * width));
  context.parallel_for(s.outer * blocks, [&](int64_t job) {
    const int64_t first = job % blocks * kSummedRows,
                  at = job / blocks * s.middle * s.inner + first * width;
    P* sums = partial.data() + job * width;
    std::fill_n(sums, width, P(0));
    kernels.multiply_sums(x + at, y ? y + at : nullptr, std::min(kSummedRows, rows - first), width,
                          sums);
  });
  const auto widened = [](T v) {
    if constexpr (std::is_same_v<T, Bf16>)
      return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(v) << 16));
    else
      return static_cast<double>(v);
  };
  std::vector<double> total(static_cast<size_t>(s.outer * s.inner));
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t b = 0; b < blocks; ++b)
      for (int64_t c = 0; c < width; ++c)
        total[static_cast<size_t>(single ? o : o * s.inner + c)] +=
            static_cast<double>(partial.data()[(o * blocks + b) * width + c]);
    for (int64_t i = s.middle - rest; single && i < s.middle; ++i)
      total[static_cast<size_t>(o)] +=
          widened(x[o * s.middle + i]) * (y ? widened(y[o * s.middle + i]) : 1.0);
  }
  T* out = mutable_image_data<T>(to);
  for (size_t i = 0; i < total.size(); ++i) {
    if constexpr (std::is_same_v<T, Bf16>)
      out[i] = static_cast<Bf16>(bfloat16(static_cast<float>(sign * total[i])).bits);
    else
      out[i] = static_cast<T>(sign * total[i]);
  }
}

const char* declines_binary_backward(const ExecContext&, const ops::BinaryBackwardArgs& args) {
  if (args.attributes.function > ops::Binary::div) return "only the four rules of arithmetic";
  if (args.attributes.function == ops::Binary::div && args.db) return "a divisor's gradient";
  if (const char* reason = declines_types(args.a, args.b, args.dy)) return reason;
  for (const Tensor* to : {args.da, args.db})
    if (to && to->dtype() != args.dy.dtype()) return "a gradient has another dtype";
  const Tensor& a = args.da ? *args.da : args.a;
  const Tensor& b = args.db ? *args.db : args.b;
  if (a.format() != args.a.format() || b.format() != args.b.format())
    return "a gradient has another memory order";
  return stretch_of(args.a, args.b, args.dy) ? nullptr
                                             : "the inputs' memory is stretched in several places";
}

// The gradient of one input beside `other`: dy times `other` for a product, dy over `other` for a
// quotient, dy or -dy for sums. `to_first`: of the first input.
template <class T>
void gradient_of(ExecContext& context, const ops::BinaryBackwardArgs& args, const Stretch& s,
                 bool to_first, Tensor& to) {
  const ops::Binary function = args.attributes.function;
  const bool product = function == ops::Binary::mul;
  const Tensor& other = to_first ? args.b : args.a;
  const T* dy = image_data<T>(args.dy);
  const double sign = function == ops::Binary::sub && !to_first ? -1 : 1;
  if (to_first ? s.first : s.second)
    return sum_middle<T>(context, s, dy, product ? image_data<T>(other) : nullptr, sign, to);
  T* out = mutable_image_data<T>(to);
  if (product || function == ops::Binary::div) {
    Stretch beside = s;
    beside.first = false, beside.second = to_first ? s.second : s.first;
    return compute_stretched<T>(context, beside, dy, image_data<T>(other), function, out);
  }
  const T nothing{};
  const Stretch one{1, args.dy.numel(), 1, sign<0, sign> 0};
  compute_stretched<T>(context, one, sign < 0 ? &nothing : dy, sign < 0 ? dy : &nothing,
                       ops::Binary::sub, out);
}

void binary_backward(ExecContext& context, ops::BinaryBackwardArgs& args) {
  if (args.dy.numel() == 0) {
    for (Tensor* to : {args.da, args.db})
      if (to && to->numel() > 0) to->copy_from(Tensor::zeros(to->shape(), to->options()));
    return;
  }
  const Stretch stretch = *stretch_of(args.a, args.b, args.dy);
  visit_image_dtype(args.dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (args.da) gradient_of<T>(context, args, stretch, true, *args.da);
    if (args.db) gradient_of<T>(context, args, stretch, false, *args.db);
  });
}

}  // namespace

void register_binary(ops::BinaryKernels& kernels) {
  kernels.forward.add({"cpu", declines_binary, binary_forward});
  kernels.backward.add({"cpu", declines_binary_backward, binary_backward});
}

}  // namespace graft::cpu
