// Optimizers' steps in parallel chunks, vectorised for the instruction set.
#include "graft/kernels/ops/optimizer.h"

#include <algorithm>

#include "graft/kernels/cpu/engine.h"
#include "graft/kernels/cpu/register.h"

namespace graft::cpu {
namespace {

constexpr int64_t kStepChunk = 1 << 14;  // elements of a job: gradient, weight and slots of Adam are 256 KiB in float32

template <class F>
void in_step_chunks(ExecContext& context, int64_t count, F&& f) {
  context.parallel_for(ceil_div(count, kStepChunk), [&](int64_t i) { f(i * kStepChunk, std::min(kStepChunk, count - i * kStepChunk)); });
}

template <class Args>
const char* declines_step(const ExecContext&, const Args& args) {
  return is_engine_dtype(args.weight.dtype()) ? nullptr : "only f32 and f64";
}

void sgd(ExecContext& context, ops::SgdArgs& args) {
  visit_engine_dtype(args.weight.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto run = kernel_table_for<T>(context).optimizers.sgd;
    const ops::SgdNumbers<T> n(args.attributes);
    const T* grad = args.grad.data<T>();
    T* weight = args.weight.mutable_data<T>();
    T* velocity = args.velocity ? args.velocity->mutable_data<T>() : nullptr;
    in_step_chunks(context, args.weight.numel(), [&](int64_t at, int64_t count) {
      run({grad + at, weight + at, velocity ? velocity + at : nullptr, count, n.lr, n.momentum, n.decay, n.nesterov});
    });
  });
}

void adam(ExecContext& context, ops::AdamArgs& args) {
  visit_engine_dtype(args.weight.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto run = kernel_table_for<T>(context).optimizers.adam;
    const ops::AdamNumbers<T> n(args.attributes);
    const T* grad = args.grad.data<T>();
    T *weight = args.weight.mutable_data<T>(), *mean = args.mean.mutable_data<T>(), *square = args.square.mutable_data<T>();
    in_step_chunks(context, args.weight.numel(), [&](int64_t at, int64_t count) {
      run({grad + at, weight + at, mean + at, square + at, count, n.step, n.root, n.beta2, n.eps, n.rest1, n.rest2, n.added, n.kept});
    });
  });
}

}  // namespace

void register_optimizer(KernelSet& set) {
  set.optimizer.sgd.add({"cpu", declines_step<ops::SgdArgs>, sgd});
  set.optimizer.adam.add({"cpu", declines_step<ops::AdamArgs>, adam});
}

}  // namespace graft::cpu
