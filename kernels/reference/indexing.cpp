// Gather and scatter: blocks of elements at offsets that the indices name, in the order of the
// indices.
#include "graft/kernels/ops/indexing.h"

#include <algorithm>

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

using ops::ScatterReduction;

// Calls f(element of x, element of the blocks' tensor) for every element that the indices name, in
// order.
template <class F>
void for_each_indexed(const ops::IndexedBlocks& blocks, F&& f) {
  for (size_t k = 0; k < blocks.starts.size(); ++k)
    for (int64_t i = 0; i < blocks.block; ++i)
      f(static_cast<size_t>(blocks.starts[k] + i),
        static_cast<size_t>(static_cast<int64_t>(k) * blocks.block + i));
}

void gather_forward(ExecContext& context, ops::GatherForwardArgs& args) {
  if (args.y.numel() == 0) return;
  const ops::IndexedBlocks blocks =
      ops::indexed_blocks(args.x.shape(), args.indices, args.attributes);
  const auto count = static_cast<int64_t>(blocks.starts.size());
  const int64_t of_job = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, blocks.block));
  visit_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    context.parallel_for(ceil_div(count, of_job), [&](int64_t job) {
      for (int64_t k = job * of_job; k < std::min(count, (job + 1) * of_job); ++k) {
        const T* from = x + blocks.starts[static_cast<size_t>(k)];
        std::copy(from, from + blocks.block, y + k * blocks.block);
      }
    });
  });
}

void gather_backward(ExecContext&, ops::GatherBackwardArgs& args) {
  const ops::IndexedBlocks blocks =
      args.dy.numel() == 0 ? ops::IndexedBlocks{}
                           : ops::indexed_blocks(args.dx.shape(), args.indices, args.attributes);
  visit_floating(args.dx.dtype(), "gather", [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    std::vector<A> sums(static_cast<size_t>(args.dx.numel()));
    const T* dy = args.dy.data<T>();
    for_each_indexed(blocks, [&](size_t to, size_t from) { sums[to] += convert<A>(dy[from]); });
    T* dx = args.dx.mutable_data<T>();
    for (size_t i = 0; i < sums.size(); ++i) dx[i] = convert<T>(sums[i]);
  });
}

template <class A>
A combine(ScatterReduction reduction, A old, A update) {
  switch (reduction) {
    case ScatterReduction::none: break;
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
  }
  return update;
}

void scatter_forward(ExecContext&, ops::ScatterForwardArgs& args) {
  const ops::IndexedBlocks blocks =
      ops::indexed_blocks(args.x.shape(), args.indices, args.updates.shape(), args.attributes);
  visit_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T *x = args.x.data<T>(), *updates = args.updates.data<T>();
    T* y = args.y.mutable_data<T>();
    std::copy(x, x + args.x.numel(), y);
    for_each_indexed(blocks, [&](size_t to, size_t from) {
      y[to] = convert<T>(
          combine(args.attributes.reduction, convert<A>(y[to]), convert<A>(updates[from])));
    });
  });
}

// What each of the values that meet in one element of y gets of its gradient.
class ScatterGradient {
 public:
  using A = double;
  ScatterGradient(const ops::ScatterBackwardArgs& args, const ops::IndexedBlocks& blocks)
      : args_(args),
        blocks_(blocks),
        x_(args.x.to_doubles()),
        updates_(args.updates.to_doubles()),
        y_(args.y.to_doubles()),
        dy_(args.dy.to_doubles()),
        dx_(x_.size()),
        dupdates_(updates_.size()) {}

  void run() {
    switch (args_.attributes.reduction) {
      case ScatterReduction::none: replaced(); break;
      case ScatterReduction::add:
        dx_ = dy_;
        for_each_indexed(blocks_, [&](size_t to, size_t from) { dupdates_[from] = dy_[to]; });
        break;
      case ScatterReduction::mul: multiplied(); break;
      case ScatterReduction::max:
      case ScatterReduction::min: extreme(); break;
    }
    store(dx_, args_.dx);
    store(dupdates_, args_.dupdates);
  }

 private:
  // The last update of an element has its gradient; x where there was none.
  void replaced() {
    std::vector<int64_t> winner(x_.size(), -1);
    for_each_indexed(blocks_,
                     [&](size_t to, size_t from) { winner[to] = static_cast<int64_t>(from); });
    for (size_t i = 0; i < winner.size(); ++i)
      (winner[i] < 0 ? dx_[i] : dupdates_[static_cast<size_t>(winner[i])]) = dy_[i];
  }

  // The product of the others: zeros are counted apart.
  void multiplied() {
    std::vector<A> product(x_.size(), 1);
    std::vector<int> zeros(x_.size());
    const auto meet = [&](size_t at, A value) {
      value == 0 ? static_cast<void>(++zeros[at]) : static_cast<void>(product[at] *= value);
    };
    const auto others = [&](size_t at, A value) {
      if (value == 0) return zeros[at] == 1 ? product[at] : 0.0;
      return zeros[at] == 0 ? product[at] / value : 0.0;
    };
    for (size_t i = 0; i < x_.size(); ++i) meet(i, x_[i]);
    for_each_indexed(blocks_, [&](size_t to, size_t from) { meet(to, updates_[from]); });
    for (size_t i = 0; i < x_.size(); ++i) dx_[i] = dy_[i] * others(i, x_[i]);
    for_each_indexed(blocks_, [&](size_t to, size_t from) {
      dupdates_[from] = dy_[to] * others(to, updates_[from]);
    });
  }

  void extreme() {
    std::vector<A> equal(x_.size());
    for (size_t i = 0; i < x_.size(); ++i) equal[i] = x_[i] == y_[i];
    for_each_indexed(blocks_,
                     [&](size_t to, size_t from) { equal[to] += updates_[from] == y_[to]; });
    for (size_t i = 0; i < x_.size(); ++i) dx_[i] = x_[i] == y_[i] ? dy_[i] / equal[i] : 0;
    for_each_indexed(blocks_, [&](size_t to, size_t from) {
      dupdates_[from] = updates_[from] == y_[to] ? dy_[to] / equal[to] : 0;
    });
  }

  static void store(const std::vector<A>& values, Tensor* to) {
    if (!to) return;
    visit_floating(to->dtype(), "scatter", [&](auto zero) {
      using T = decltype(zero);
      T* out = to->mutable_data<T>();
      for (size_t i = 0; i < values.size(); ++i) out[i] = convert<T>(values[i]);
    });
  }

  const ops::ScatterBackwardArgs& args_;
  const ops::IndexedBlocks& blocks_;
  std::vector<A> x_, updates_, y_, dy_, dx_, dupdates_;
};

void scatter_backward(ExecContext&, ops::ScatterBackwardArgs& args) {
  const ops::IndexedBlocks blocks =
      ops::indexed_blocks(args.x.shape(), args.indices, args.updates.shape(), args.attributes);
  ScatterGradient(args, blocks).run();
}

}  // namespace

void register_indexing(ops::IndexingKernels& kernels) {
  kernels.gather_forward.add({"reference", takes_all, gather_forward});
  kernels.gather_backward.add({"reference", takes_all, gather_backward});
  kernels.scatter_forward.add({"reference", takes_all, scatter_forward});
  kernels.scatter_backward.add({"reference", takes_all, scatter_backward});
}

}  // namespace graft::reference
