// Dropout: the CPU's mask, to the bit: number i of the stream decides on the element of logical index i.
#include "graft/core/runtime/random.h"
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/axes.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/device/philox.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

template <class T, int N>
struct Dropout {
  static constexpr const char* name = "dropout";
  static constexpr int group = N;
  Span<const T> x;
  Span<T> y;
  PhiloxStream given;
  Span<const int32_t> words;  // empty: the given stream
  uint32_t threshold;
  float scale;
  Axes logical;  // from memory order to logical index
  bool in_order;
  GRAFT_HD uint32_t word(int i) const { return static_cast<uint32_t>(words.load(i)); }
  GRAFT_HD PhiloxStream stored() const { return {{word(0), word(1)}, {word(2), word(3), word(4)}}; }
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    Group<T, M> v = x.template load_group<M>(i);
    PhiloxBlock numbers{};
    const PhiloxStream stream = words ? stored() : given;
    for (int j = 0; j < M; ++j) {
      const int64_t index = in_order ? i + j : logical.offset(i + j);
      if (!in_order || j % 4 == 0) numbers = stream.block(static_cast<uint64_t>(index / 4));  // groups of 4 and 8 start at a block
      v.v[j] = from_float<T>(numbers.number(static_cast<int>(index % 4)) < threshold ? 0.f : to_float(v.v[j]) * scale);
    }
    y.template store_group<M>(i, v);
  }
};

const char* declines(const ExecContext&, const ops::DropoutArgs& args) {
  return args.x.format() == args.y.format() ? declines_dtype(args.x) : "the layouts differ";
}

void apply(ExecContext&, ops::DropoutArgs& args) {
  const ops::DropoutAttributes& a = args.attributes;
  const CountedRandom random(a.seed, RandomPurpose::dropout, a.epoch, a.step);
  const PhiloxStream stream{{random.key()[0], random.key()[1]}, {random.stream()[0], random.stream()[1], random.stream()[2]}};
  Axes logical;
  for (int place = 0; place < args.x.rank(); ++place) {
    const int axis = axis_in_memory(args.x, place);
    logical.add(args.x.shape()[axis], args.x.shape().product(axis + 1, args.x.rank()));
  }
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_group<T>(is_aligned(args.x) && is_aligned(args.y), [&](auto n) {
      launch_map(device_of(args.x), args.x.numel(),
                 Dropout<T, n()>{span<T>(args.x), mutable_span<T>(args.y), stream, span<int32_t>(a.words.defined() ? &a.words : nullptr), static_cast<uint32_t>(a.probability * 4294967296.0),
                                 static_cast<float>(1 / (1 - a.probability)), logical, args.x.format() == MemoryFormat::contiguous});
    });
  });
}

}  // namespace

void register_dropout(KernelSet& set) { set.dropout.apply.add({"cuda", declines, apply}); }

}  // namespace graft::cuda
