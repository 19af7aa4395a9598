// Optimizers' steps in parallel chunks, vectorised for the instruction set.
#include "graft/kernels/ops/optimizer.h"

#include <algorithm>

#include "graft/kernels/cpu/engine.h"
#include "graft/kernels/cpu/register.h"

namespace graft::cpu {
namespace {

constexpr int64_t kStepChunk =
    1 << 14;  // elements of a job: gradient, weight and slots of Adam are 256 KiB in float32

template <class F>
void in_step_chunks(ExecContext& context, int64_t count, F&& f) {
  context.parallel_for(ceil_div(count, kStepChunk), [&](int64_t i) {
    f(i * kStepChunk, std::min(kStepChunk, count - i * kStepChunk));
  });
}

const char* declines_step(const ExecContext&, const ops::OptimizerStepArgs& args) {
  if (args.attributes.max_norm > 0 || args.attributes.skip_if_not_finite || args.factor)
    return "looks at all gradients first";
  if (args.numbers.data<double>()[ops::gradient_scale] != 1) return "scales gradients";
  for (const ops::OptimizerParameter& p : args.parameters) {
    if (!is_engine_dtype(p.weight.dtype())) return "only f32 and f64";
    if (p.copy.defined()) return "keeps no copies";
  }
  return nullptr;
}

template <class T>
void step_of(ExecContext& context, ops::OptimizerParameter& p, const ops::OptimizerStepArgs& args) {
  const OptimizerStepKernels<T>& kernels = kernel_table_for<T>(context).optimizers;
  const ops::OptimizerStepNumbers<T> n(args);
  const T* grad = p.gradient.data<T>();
  T* weight = p.weight.mutable_data<T>();
  T* first = p.first.defined() ? p.first.mutable_data<T>() : nullptr;
  T* second = p.second.defined() ? p.second.mutable_data<T>() : nullptr;
  const bool sgd = args.attributes.rule == ops::OptimizerRule::sgd;
  in_step_chunks(context, p.weight.numel(), [&](int64_t at, int64_t count) {
    if (sgd)
      kernels.sgd({grad + at, weight + at, first ? first + at : nullptr, count, n.lr, n.momentum,
                   n.decay, n.nesterov});
    else
      kernels.adam({grad + at, weight + at, first + at, second + at, count, n.lr, n.root, n.beta2,
                    n.eps, n.rest1, n.rest2, n.decay, n.kept});
  });
}

void step(ExecContext& context, ops::OptimizerStepArgs& args) {
  for (ops::OptimizerParameter& p : args.parameters)
    visit_engine_dtype(p.weight.dtype(),
                       [&](auto zero) { step_of<decltype(zero)>(context, p, args); });
}

}  // namespace

void register_optimizer(ops::OptimizerKernels& kernels) {
  kernels.step.add({"cpu", declines_step, step});
}

}  // namespace graft::cpu
