// CTC's forward and backward recursions in log space, in double for every dtype.
#include "graft/kernels/ops/ctc.h"

#include <vector>

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// A sample: its labels with a blank before, between and behind them, S = 2L + 1 states.
class CtcSample {
 public:
  CtcSample(const int64_t* labels, int64_t count, int64_t blank) {
    states_.assign(static_cast<size_t>(2 * count + 1), blank);
    for (int64_t i = 0; i < count; ++i) states_[static_cast<size_t>(2 * i + 1)] = labels[i];
  }

  // log_p: [T,C] log-probabilities. Returns -log p(labels).
  double forward(const std::vector<double>& log_p, int64_t steps, int64_t classes) {
    const size_t all = states_.size();
    classes_ = classes;
    alpha_.assign(static_cast<size_t>(steps) * all, kNever);
    if (steps == 0) return all == 1 ? 0 : -kNever;
    for (size_t s = 0; s < std::min<size_t>(2, all); ++s) alpha_[s] = at(log_p, 0, s);
    for (int64_t t = 1; t < steps; ++t) {
      const double* before = &alpha_[static_cast<size_t>(t - 1) * all];
      double* now = &alpha_[static_cast<size_t>(t) * all];
      for (size_t s = 0; s < all; ++s) {
        double sum = before[s];
        if (s >= 1) sum = ops::log_added(sum, before[s - 1]);
        if (may_skip_to(s)) sum = ops::log_added(sum, before[s - 2]);
        now[s] = sum + at(log_p, t, s);
      }
    }
    const double* last = &alpha_[static_cast<size_t>(steps - 1) * all];
    return -(all > 1 ? ops::log_added(last[all - 1], last[all - 2]) : last[0]);
  }

  // Behind forward(), of a finite loss. gradient: [T,C], of the loss by the logits: the softmax
  // less the share of paths that are in a state of the class.
  void backward(const std::vector<double>& log_p, int64_t steps, double loss,
                std::vector<double>& gradient) const {
    const size_t all = states_.size();
    // beta: log-probability of what is left behind step t, without the step's own.
    std::vector<double> beta(all, kNever), next(all);
    beta[all - 1] = 0;
    if (all > 1) beta[all - 2] = 0;
    for (int64_t t = steps - 1; t >= 0; --t) {
      double* row = &gradient[static_cast<size_t>(t * classes_)];
      for (int64_t c = 0; c < classes_; ++c)
        row[c] = std::exp(log_p[static_cast<size_t>(t * classes_ + c)]);
      const double* alpha = &alpha_[static_cast<size_t>(t) * all];
      for (size_t s = 0; s < all; ++s) row[states_[s]] -= std::exp(alpha[s] + beta[s] + loss);
      if (t == 0) break;
      for (size_t s = 0; s < all; ++s) {
        double sum = beta[s] + at(log_p, t, s);
        if (s + 1 < all) sum = ops::log_added(sum, beta[s + 1] + at(log_p, t, s + 1));
        if (s + 2 < all && may_skip_to(s + 2))
          sum = ops::log_added(sum, beta[s + 2] + at(log_p, t, s + 2));
        next[s] = sum;
      }
      beta.swap(next);
    }
  }

 private:
  // From two states before: over the blank between two different labels.
  bool may_skip_to(size_t s) const { return s >= 2 && s % 2 == 1 && states_[s] != states_[s - 2]; }
  double at(const std::vector<double>& log_p, int64_t t, size_t s) const {
    return log_p[static_cast<size_t>(t * classes_ + states_[s])];
  }

  std::vector<int64_t> states_;
  std::vector<double> alpha_{};  // [T,S]
  int64_t classes_ = 0;
};

// Row by row; a huge logit costs no precision of the others.
template <class T>
void log_softmax_rows(const T* x, int64_t steps, int64_t classes, std::vector<double>& log_p) {
  for (int64_t t = 0; t < steps; ++t, x += classes) {
    double top = convert<double>(x[0]), sum = 0;
    for (int64_t c = 1; c < classes; ++c) top = std::max(top, convert<double>(x[c]));
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(convert<double>(x[c]) - top);
    const double log_sum = std::log(sum);
    for (int64_t c = 0; c < classes; ++c)
      log_p[static_cast<size_t>(t * classes + c)] = convert<double>(x[c]) - top - log_sum;
  }
}

void ctc_loss(ExecContext&, ops::CtcForwardArgs& args) {
  const int64_t samples = args.logits.shape()[0], steps = args.logits.shape()[1],
                classes = args.logits.shape()[2], most = args.target.shape()[1];
  const bool is_mean = args.attributes.reduction == ops::Reduction::mean;
  visit_floating(args.logits.dtype(), "ctc_loss", [&](auto zero) {
    using T = decltype(zero);
    std::vector<double> log_p(static_cast<size_t>(steps * classes)), gradient(log_p.size());
    double sum = 0;
    for (int64_t n = 0; n < samples; ++n) {
      const int64_t own_steps = args.lengths ? args.lengths->data<int64_t>()[n] : steps;
      const int64_t* row = args.target.data<int64_t>() + n * most;
      const int64_t labels = ops::ctc_labels(row, most);
      log_softmax_rows(args.logits.data<T>() + n * steps * classes, own_steps, classes, log_p);
      CtcSample sample(row, labels, args.attributes.blank);
      const double loss = sample.forward(log_p, own_steps, classes);
      const double share =
          is_mean ? 1.0 / static_cast<double>(samples * std::max<int64_t>(labels, 1)) : 1.0;
      const bool is_reachable = loss != -kNever;
      if (is_reachable || !args.attributes.zero_infinity) sum += loss * share;
      if (!args.dlogits) continue;
      std::fill(gradient.begin(), gradient.end(), 0.0);
      if (is_reachable) sample.backward(log_p, own_steps, loss, gradient);
      T* dx = args.dlogits->mutable_data<T>() + n * steps * classes;
      for (size_t i = 0; i < gradient.size(); ++i) dx[i] = convert<T>(gradient[i] * share);
    }
    args.loss.mutable_data<T>()[0] = convert<T>(sum);
  });
}

}  // namespace

void register_ctc(ops::CtcKernels& kernels) { kernels.ctc.add({"reference", takes_all, ctc_loss}); }

}  // namespace graft::reference
