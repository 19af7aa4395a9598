// Optimizers' steps in parallel chunks, vectorised for the instruction set.
#include "graft/kernels/ops/optimizer.h"

#include <algorithm>
#include <cmath>
#include <vector>

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
  if (args.attributes.skip_if_not_finite || args.factor) return "leaves no step out";
  for (const ops::OptimizerParameter& p : args.parameters) {
    if (!is_engine_dtype(p.weight.dtype())) return "only f32 and f64";
    if (p.copy.defined()) return "keeps no copies";
  }
  return nullptr;
}

// Eight sums side by side.
template <class T>
double squares_of(const T* x, int64_t count) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int64_t k = 0; k < 8; ++k)
      sums[k] += static_cast<double>(x[i + k]) * static_cast<double>(x[i + k]);
  for (; i < count; ++i) sums[i % 8] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// Of all gradients, whose pieces are added up in their order.
double gradient_factor(ExecContext& context, const ops::OptimizerStepArgs& args) {
  const double scale = args.numbers.data<double>()[ops::gradient_scale],
               most = args.attributes.max_norm;
  if (most <= 0) return scale;
  double squares = 0;
  for (const ops::OptimizerParameter& p : args.parameters) {
    const int64_t count = p.gradient.numel();
    std::vector<double> sums(static_cast<size_t>(ceil_div(count, kStepChunk)));
    visit_engine_dtype(p.gradient.dtype(), [&](auto zero) {
      const auto* grad = p.gradient.data<decltype(zero)>();
      in_step_chunks(context, count, [&](int64_t at, int64_t size) {
        sums[static_cast<size_t>(at / kStepChunk)] = squares_of(grad + at, size);
      });
    });
    for (const double sum : sums) squares += sum;
  }
  const double norm = std::sqrt(squares) * std::abs(scale);
  return norm > most ? scale * (most / norm) : scale;
}

template <class T>
void step_of(ExecContext& context, ops::OptimizerParameter& p, const ops::OptimizerStepArgs& args,
             double factor) {
  const OptimizerStepKernels<T>& kernels = kernel_table_for<T>(context).optimizers;
  const ops::OptimizerStepNumbers<T> n(args, p);
  const T scale = static_cast<T>(factor);
  const T* grad = p.gradient.data<T>();
  T* weight = p.weight.mutable_data<T>();
  T* first = p.first.defined() ? p.first.mutable_data<T>() : nullptr;
  T* second = p.second.defined() ? p.second.mutable_data<T>() : nullptr;
  const ops::OptimizerRule rule = args.attributes.rule;
  in_step_chunks(context, p.weight.numel(), [&](int64_t at, int64_t count) {
    T* const first_there = first ? first + at : nullptr;
    T* const second_there = second ? second + at : nullptr;
    if (rule == ops::OptimizerRule::sgd)
      kernels.sgd({grad + at, weight + at, first_there, count, scale, n.lr, n.momentum, n.decay,
                   n.nesterov});
    else if (rule == ops::OptimizerRule::rmsprop)
      kernels.rmsprop({grad + at, weight + at, first_there, second_there, count, scale, n.lr,
                       n.beta2, n.eps, n.rest2, n.momentum, n.decay});
    else
      kernels.adam({grad + at, weight + at, first_there, second_there, count, scale, n.lr, n.root,
                    n.beta2, n.eps, n.rest1, n.rest2, n.decay, n.kept});
  });
}

void step(ExecContext& context, ops::OptimizerStepArgs& args) {
  const double factor = gradient_factor(context, args);
  for (ops::OptimizerParameter& p : args.parameters)
    visit_engine_dtype(p.weight.dtype(),
                       [&](auto zero) { step_of<decltype(zero)>(context, p, args, factor); });
}

}  // namespace

void register_optimizer(ops::OptimizerKernels& kernels) {
  kernels.step.add({"cpu", declines_step, step});
}

}  // namespace graft::cpu
