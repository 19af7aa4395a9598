// Optimizers' steps in parallel chunks, vectorised for the instruction set.
#include "graft/kernels/ops/optimizer.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "graft/kernels/cpu/engine.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/ops/trust_ratio.h"

namespace graft::cpu {
namespace {

constexpr int64_t kStepChunk =
    ops::kSquaresPiece;  // elements of a job: gradient, weight and slots of Adam are 256 KiB in f32

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

// Of a tensor: its pieces' sums, made side by side, in their order.
template <class T>
double all_squares(ExecContext& context, const T* x, int64_t count) {
  std::vector<double> sums(static_cast<size_t>(ceil_div(count, kStepChunk)));
  in_step_chunks(context, count, [&](int64_t at, int64_t size) {
    sums[static_cast<size_t>(at / kStepChunk)] = ops::squares_of(x + at, size);
  });
  double squares = 0;
  for (const double sum : sums) squares += sum;
  return squares;
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
        sums[static_cast<size_t>(at / kStepChunk)] = ops::squares_of(grad + at, size);
      });
    });
    for (const double sum : sums) squares += sum;
  }
  const double norm = std::sqrt(squares) * std::abs(scale);
  return norm > most ? scale * (most / norm) : scale;
}

template <class T>
void lamb_step_of(ExecContext& context, ops::OptimizerParameter& p,
                  const ops::OptimizerStepArgs& args, double factor) {
  const ops::OptimizerStepNumbers<T> n(args, p);
  const ops::LambSpan<T> all{p.gradient.data<T>(), p.weight.mutable_data<T>(),
                             p.first.mutable_data<T>(), p.second.mutable_data<T>(),
                             p.weight.numel()};
  const auto piece = [&](int64_t at, int64_t count) {
    return ops::LambSpan<T>{all.gradient + at, all.weight + at, all.mean + at, all.square + at,
                            count};
  };
  std::vector<ops::LambSquares> sums(static_cast<size_t>(ceil_div(all.count, kStepChunk)));
  in_step_chunks(context, all.count, [&](int64_t at, int64_t count) {
    sums[static_cast<size_t>(at / kStepChunk)] =
        ops::lamb_moments(piece(at, count), n, static_cast<T>(factor));
  });
  ops::LambSquares squares;
  for (const ops::LambSquares& sum : sums) {
    squares.weight += sum.weight;
    squares.update += sum.update;
  }
  const T ratio = static_cast<T>(
      ops::is_adapted(args.attributes, p) ? ops::lamb_ratio(squares.weight, squares.update) : 1);
  in_step_chunks(context, all.count,
                 [&](int64_t at, int64_t count) { ops::lamb_apply(piece(at, count), n, ratio); });
}

template <class T>
double lars_ratio_of(ExecContext& context, const ops::OptimizerParameter& p,
                     const ops::OptimizerStepAttributes& attributes, double factor) {
  if (!ops::is_adapted(attributes, p)) return 1;
  const int64_t count = p.weight.numel();
  return ops::lars_ratio(attributes, p, all_squares(context, p.weight.data<T>(), count),
                         all_squares(context, p.gradient.data<T>(), count), factor);
}

template <class T>
void step_of(ExecContext& context, ops::OptimizerParameter& p, const ops::OptimizerStepArgs& args,
             double factor) {
  const ops::OptimizerRule rule = args.attributes.rule;
  if (rule == ops::OptimizerRule::lamb) return lamb_step_of<T>(context, p, args, factor);
  const OptimizerStepKernels<T>& kernels = kernel_table_for<T>(context).optimizers;
  const ops::OptimizerStepNumbers<T> n(args, p);
  const double ratio = lars_ratio_of<T>(context, p, args.attributes, factor);
  const T scale = static_cast<T>(factor * ratio), decay = static_cast<T>(n.decay * ratio);
  const T* grad = p.gradient.data<T>();
  T* weight = p.weight.mutable_data<T>();
  T* first = p.first.defined() ? p.first.mutable_data<T>() : nullptr;
  T* second = p.second.defined() ? p.second.mutable_data<T>() : nullptr;
  in_step_chunks(context, p.weight.numel(), [&](int64_t at, int64_t count) {
    T* const first_there = first ? first + at : nullptr;
    T* const second_there = second ? second + at : nullptr;
    if (rule == ops::OptimizerRule::sgd || rule == ops::OptimizerRule::lars)
      kernels.sgd(
          {grad + at, weight + at, first_there, count, scale, n.lr, n.momentum, decay, n.nesterov});
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
