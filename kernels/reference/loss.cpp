// The losses and their gradients, row by row, summed in double.
#include "graft/kernels/ops/loss.h"

#include <cmath>

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

// The target distribution of a row: q[c], already times the class weight, and the row's share of
// the divisor.
struct TargetRow {
  std::vector<double> q;
  double share = 0;
};

// Smoothing as in PyTorch: (1 - s) * target + s / C, each class then weighted.
TargetRow target_row(const ops::CrossEntropyForwardArgs& args,
                     const std::vector<double>& class_weights,
                     const std::vector<double>& probabilities, int64_t n, int64_t classes) {
  TargetRow row;
  row.q.assign(static_cast<size_t>(classes),
               args.attributes.label_smoothing / static_cast<double>(classes));
  const double rest = 1 - args.attributes.label_smoothing;
  if (probabilities.empty()) {
    const auto label = static_cast<size_t>(args.target.data<int64_t>()[n]);
    row.q[label] += rest;
    row.share = class_weights[label];
  } else {
    for (int64_t c = 0; c < classes; ++c)
      row.q[static_cast<size_t>(c)] += rest * probabilities[static_cast<size_t>(n * classes + c)];
    row.share = 1;
  }
  for (size_t c = 0; c < row.q.size(); ++c) row.q[c] *= class_weights[c];
  return row;
}

void cross_entropy(ExecContext&, ops::CrossEntropyForwardArgs& args) {
  const int64_t rows = args.logits.shape()[0], classes = args.logits.shape()[1];
  const auto class_weights = args.class_weights
                                 ? args.class_weights->to_doubles()
                                 : std::vector<double>(static_cast<size_t>(classes), 1.0);
  const auto probabilities =
      is_floating(args.target.dtype()) ? args.target.to_doubles() : std::vector<double>();
  visit_floating(args.logits.dtype(), "cross_entropy", [&](auto zero) {
    using T = decltype(zero);
    const T* x = args.logits.data<T>();
    std::vector<double> gradient(static_cast<size_t>(args.dlogits ? rows * classes : 0));
    double loss = 0, divisor = 0;
    for (int64_t n = 0; n < rows; ++n, x += classes) {
      double top = convert<double>(x[0]), sum = 0, mass = 0;
      for (int64_t c = 1; c < classes; ++c) top = std::max(top, convert<double>(x[c]));
      for (int64_t c = 0; c < classes; ++c) sum += std::exp(convert<double>(x[c]) - top);
      const double log_sum =
          std::log(sum);  // of the shifted logits: top + log(sum) would lose it beside a huge top
      const TargetRow row = target_row(args, class_weights, probabilities, n, classes);
      for (int64_t c = 0; c < classes; ++c) {
        loss -= row.q[static_cast<size_t>(c)] * (convert<double>(x[c]) - top - log_sum);
        mass += row.q[static_cast<size_t>(c)];
      }
      divisor += row.share;
      for (int64_t c = 0; args.dlogits && c < classes; ++c)
        gradient[static_cast<size_t>(n * classes + c)] =
            mass * std::exp(convert<double>(x[c]) - top - log_sum) - row.q[static_cast<size_t>(c)];
    }
    const double scale = args.attributes.reduction == ops::Reduction::mean ? 1 / divisor : 1.0;
    args.loss.mutable_data<T>()[0] = convert<T>(loss * scale);
    if (!args.dlogits) return;
    T* dx = args.dlogits->mutable_data<T>();
    for (size_t i = 0; i < gradient.size(); ++i) dx[i] = convert<T>(gradient[i] * scale);
  });
}

void pair_loss(ExecContext&, ops::PairLossForwardArgs& args) {
  const int64_t count = args.x.numel();
  const double scale =
      args.attributes.reduction == ops::Reduction::mean ? 1.0 / static_cast<double>(count) : 1.0;
  visit_floating(args.x.dtype(), "pair_loss", [&](auto zero) {
    using T = decltype(zero);
    const T *x = args.x.data<T>(), *target = args.target.data<T>();
    T* dx = args.dx ? args.dx->mutable_data<T>() : nullptr;
    double loss = 0;
    for (int64_t i = 0; i < count; ++i) {
      const double a = convert<double>(x[i]), t = convert<double>(target[i]);
      double slope = 0;
      if (args.attributes.function == ops::PairLoss::mean_squared_error) {
        loss += (a - t) * (a - t);
        slope = 2 * (a - t);
      } else {  // max(a,0) - a*t + log(1 + exp(-|a|)): never overflows
        loss += std::max(a, 0.0) - a * t + std::log1p(std::exp(-std::abs(a)));
        slope = 1 / (1 + std::exp(-a)) - t;
      }
      if (dx) dx[i] = convert<T>(slope * scale);
    }
    args.loss.mutable_data<T>()[0] = convert<T>(loss * scale);
  });
}

}  // namespace

void register_loss(ops::LossKernels& kernels) {
  kernels.cross_entropy.add({"reference", takes_all, cross_entropy});
  kernels.pair.add({"reference", takes_all, pair_loss});
}

}  // namespace graft::reference
