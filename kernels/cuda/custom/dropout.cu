// Dropout: the CPU's mask, to the bit: number i of the stream decides on the element of logical
// index i.
#include "graft/core/runtime/random.h"
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/axes.h"
#include "graft/kernels/cuda/custom/channel_rows.h"
#include "graft/kernels/cuda/custom/pixel_grid.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/device/philox.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

// The numbers of this step: the launch's, or those that stand in memory (a recorded step is another
// one each time).
struct DropoutNumbers {
  PhiloxStream given;
  Span<const int32_t> words;  // empty: the given stream
  uint32_t threshold;
  float scale;
  GRAFT_HD uint32_t word(int i) const { return static_cast<uint32_t>(words.load(i)); }
  GRAFT_HD PhiloxStream stream() const {
    return words ? PhiloxStream{{word(0), word(1)}, {word(2), word(3), word(4)}} : given;
  }
  GRAFT_HD float kept(const PhiloxBlock& numbers, int i, float value) const {
    return numbers.number(i) < threshold ? 0.f : value * scale;
  }
};

template <class T, int N>
struct Dropout {
  static constexpr const char* name = "dropout";
  static constexpr int group = N;
  Span<const T> x;
  Span<T> y;
  DropoutNumbers numbers;
  Axes logical;  // from memory order to logical index
  bool in_order;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    Group<T, M> v = x.template load_group<M>(i);
    PhiloxBlock block{};
    const PhiloxStream stream = numbers.stream();
    for (int j = 0; j < M; ++j) {
      const int64_t index = in_order ? i + j : logical.offset(i + j);
      if (!in_order || j % 4 == 0)
        block =
            stream.block(static_cast<uint64_t>(index / 4));  // groups of 4 and 8 start at a block
      v.v[j] = from_float<T>(numbers.kept(block, static_cast<int>(index % 4), to_float(v.v[j])));
    }
    y.template store_group<M>(i, v);
  }
};

// Images in channels_last: four neighbouring pixels of a channel share a block of numbers, so a
// thread makes four pixels of its channels.
template <class T>
struct DropoutPixels {
  static constexpr const char* name = "dropout of pixels";
  static constexpr int ahead = 1;
  Span<const T> x;
  Span<T> y;
  DropoutNumbers numbers;
  Divisor quads;  // of an image
  int64_t channels;
  template <int N>
  struct State {
    PhiloxStream stream;
    int64_t channel;
  };
  template <int N>
  struct Elements {
    Group<T, N> v[4];
    int64_t block, at;  // of the first channel's numbers; of the first pixel's elements
  };
  template <int N>
  GRAFT_HD State<N> prepare(int64_t channel) const {
    return {numbers.stream(), channel};
  }
  template <int N>
  GRAFT_HD Elements<N> load(const State<N>& s, int64_t quad, int64_t) const {
    const int64_t image = quads.quotient(static_cast<uint32_t>(quad)),
                  rest = quad - image * quads.divisor;
    Elements<N> e;
    e.block = (image * channels + s.channel) * quads.divisor + rest;
    e.at = 4 * quad * channels + s.channel;
    GRAFT_UNROLL
    for (int k = 0; k < 4; ++k) e.v[k] = x.template load_group<N>(e.at + k * channels);
    return e;
  }
  template <int N>
  GRAFT_HD void store(const State<N>& s, int64_t, const Elements<N>& e) const {
    Group<T, N> result[4];
    GRAFT_UNROLL
    for (int j = 0; j < N; ++j) {
      const PhiloxBlock block =
          s.stream.block(static_cast<uint64_t>(e.block + j * static_cast<int64_t>(quads.divisor)));
      GRAFT_UNROLL
      for (int k = 0; k < 4; ++k)
        result[k].v[j] = from_float<T>(numbers.kept(block, k, to_float(e.v[k].v[j])));
    }
    GRAFT_UNROLL
    for (int k = 0; k < 4; ++k) y.template store_group<N>(e.at + k * channels, result[k]);
  }
};

const char* declines(const ExecContext&, const ops::DropoutArgs& args) {
  return args.x.format() == args.y.format() ? declines_dtype(args.x) : "the layouts differ";
}

void apply(ExecContext&, ops::DropoutArgs& args) {
  const ops::DropoutAttributes& a = args.attributes;
  const CountedRandom random(a.seed, RandomPurpose::dropout, a.epoch, a.step);
  const PhiloxStream stream{{random.key()[0], random.key()[1]},
                            {random.stream()[0], random.stream()[1], random.stream()[2]}};
  Axes logical;
  for (int place = 0; place < args.x.rank(); ++place) {
    const int axis = axis_in_memory(args.x, place);
    logical.add(args.x.shape()[axis], args.x.shape().product(axis + 1, args.x.rank()));
  }
  const DropoutNumbers numbers{stream, span<int32_t>(a.words.defined() ? &a.words : nullptr),
                               static_cast<uint32_t>(a.probability * 4294967296.0),
                               static_cast<float>(1 / (1 - a.probability))};
  const bool aligned = is_aligned(args.x) && is_aligned(args.y),
             in_order = args.x.format() == MemoryFormat::contiguous;
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t pixels = in_order ? 0 : args.x.size(2) * args.x.size(3),
                  channels = in_order ? 0 : args.x.size(1);
    if (!in_order && aligned && pixels > 0 && pixels % 4 == 0 && channels % kGroup<T> == 0 &&
        args.x.size(0) * pixels < kMostPixels)
      return launch_channel_rows<kGroup<T>>(
          device_of(args.x), args.x.size(0) * pixels / 4, channels,
          DropoutPixels<T>{span<T>(args.x), mutable_span<T>(args.y), numbers,
                           Divisor::of(pixels / 4), channels},
          4);
    visit_group<T>(aligned, [&](auto n) {
      launch_map(
          device_of(args.x), args.x.numel(),
          Dropout<T, n()>{span<T>(args.x), mutable_span<T>(args.y), numbers, logical, in_order});
    });
  });
}

}  // namespace

void register_dropout(KernelSet& set) { set.dropout.apply.add({"cuda", declines, apply}); }

}  // namespace graft::cuda
