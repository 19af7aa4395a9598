#include "graft/train/tasks/classification/transferability/logistic_regression.h"

#include <Eigen/Core>
#include <cmath>
#include <deque>
#include <limits>

#include "graft/core/base/error.h"
#include "graft/core/runtime/stop.h"

namespace graft::train {
namespace {

using LogisticRows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// In place, and the row's log sum of exponentials is taken from each.
void log_softmax_rows(LogisticRows& z) {
  for (Eigen::Index i = 0; i < z.rows(); ++i) {
    const double top = z.row(i).maxCoeff();
    z.row(i).array() -= top + std::log((z.row(i).array() - top).exp().sum());
  }
}

// The loss and its gradient at weights and biases, which stand as one vector: [D,C], then [C].
class LogisticLoss {
 public:
  LogisticLoss(const ClassedFeatures& f, double strength)
      : x_(f.values.data(), f.samples, f.count), labels_(f.labels), classes_(f.classes) {
    penalty_ = 1 / (strength * static_cast<double>(f.samples));
  }
  Eigen::Index size() const { return (x_.cols() + 1) * classes_; }
  // Of the mean over the samples, with the penalty divided likewise.
  double operator()(const Eigen::VectorXd& at, Eigen::VectorXd& gradient) {
    const Eigen::Map<const LogisticRows> w(at.data(), x_.cols(), classes_);
    z_.noalias() = x_ * w;
    z_.rowwise() += at.tail(classes_).transpose();
    log_softmax_rows(z_);
    double sum = 0;
    for (Eigen::Index i = 0; i < z_.rows(); ++i) sum -= z_(i, labels_[static_cast<size_t>(i)]);
    z_ = z_.array().exp();
    for (Eigen::Index i = 0; i < z_.rows(); ++i) z_(i, labels_[static_cast<size_t>(i)]) -= 1;
    const double share = 1 / static_cast<double>(z_.rows());
    z_ *= share;
    gradient.resize(size());
    Eigen::Map<LogisticRows> dw(gradient.data(), x_.cols(), classes_);
    dw.noalias() = x_.transpose() * z_;
    dw += penalty_ * w;
    gradient.tail(classes_) = z_.colwise().sum().transpose();
    return sum * share + 0.5 * penalty_ * w.squaredNorm();
  }

 private:
  Eigen::Map<const LogisticRows> x_;
  const std::vector<int64_t>& labels_;
  Eigen::Index classes_;
  double penalty_;
  LogisticRows z_;
};

// The last steps and what they changed in the gradient: an approximate inverse of the second
// derivatives (Nocedal and Wright, Numerical Optimization, algorithm 7.4).
class LimitedMemory {
 public:
  void add(Eigen::VectorXd step, Eigen::VectorXd change) {
    const double curvature = step.dot(change);
    if (!(curvature > 0)) return;
    if (pairs_.size() == kMost) pairs_.pop_front();
    pairs_.push_back({std::move(step), std::move(change), curvature});
  }
  bool empty() const { return pairs_.empty(); }
  void clear() { pairs_.clear(); }
  Eigen::VectorXd direction(const Eigen::VectorXd& gradient) const {
    Eigen::VectorXd q = -gradient;
    std::vector<double> taken(pairs_.size());
    for (size_t i = pairs_.size(); i-- > 0;) {
      taken[i] = pairs_[i].step.dot(q) / pairs_[i].curvature;
      q -= taken[i] * pairs_[i].change;
    }
    if (!pairs_.empty()) q *= pairs_.back().curvature / pairs_.back().change.squaredNorm();
    for (size_t i = 0; i < pairs_.size(); ++i)
      q += (taken[i] - pairs_[i].change.dot(q) / pairs_[i].curvature) * pairs_[i].step;
    return q;
  }

 private:
  static constexpr size_t kMost = 10;
  struct Pair {
    Eigen::VectorXd step, change;
    double curvature;
  };
  std::deque<Pair> pairs_;
};

// Goes down to where no element of the gradient is above the tolerance.
void minimize(LogisticLoss& loss, const LogisticOptions& options, Eigen::VectorXd& at,
              LogisticModel& model) {
  LimitedMemory memory;
  Eigen::VectorXd gradient, there, gradient_there;
  double value = loss(at, gradient);
  while (model.iterations < options.most_iterations) {
    check_stop();
    model.converged = gradient.cwiseAbs().maxCoeff() <= options.tolerance;
    if (model.converged) return;
    Eigen::VectorXd direction = memory.direction(gradient);
    double slope = direction.dot(gradient);
    if (!(slope < 0)) {
      memory.clear();
      direction = -gradient;
      slope = -gradient.squaredNorm();
    }
    double length = memory.empty() ? std::min(1.0, 1 / std::sqrt(-slope)) : 1;
    bool is_lower = false;
    for (int halved = 0; halved < 40 && !is_lower; ++halved, length /= 2) {
      there = at + length * direction;
      const double value_there = loss(there, gradient_there);
      // Near the end rounding hides what the value still loses; the slope there tells more (Hager
      // and Zhang, SIAM J. Optim. 16, 2005).
      is_lower = value_there <= value + 1e-4 * length * slope ||
                 (value_there <= value + 1e-12 * std::abs(value) &&
                  std::abs(gradient_there.dot(direction)) <= -0.8 * slope);
      if (is_lower) value = value_there;
    }
    if (!is_lower) return;  // as low as rounding allows
    memory.add(there - at, gradient_there - gradient);
    at.swap(there);
    gradient.swap(gradient_there);
    ++model.iterations;
  }
  model.converged = gradient.cwiseAbs().maxCoeff() <= options.tolerance;
}

// The samples' classes numbered without those that have no sample; which number each class has,
// -1 for none.
std::vector<int64_t> number_present(ClassedFeatures& features) {
  const std::vector<int64_t> sizes = features.sizes();
  std::vector<int64_t> number(sizes.size(), -1);
  int64_t present = 0;
  for (size_t c = 0; c < sizes.size(); ++c)
    if (sizes[c] > 0) number[c] = present++;
  for (int64_t& label : features.labels) label = number[static_cast<size_t>(label)];
  features.classes = present;
  return number;
}

}  // namespace

LogisticModel fit_logistic(const ClassedFeatures& given, const LogisticOptions& options) {
  GRAFT_CHECK(options.strength > 0 && options.tolerance > 0 && options.most_iterations >= 1,
              "logistic regression: strength ", options.strength, ", tolerance ", options.tolerance,
              ", ", options.most_iterations, " iterations");
  ClassedFeatures features = given;
  const std::vector<int64_t> number = number_present(features);
  features.check();
  LogisticLoss loss(features, options.strength);
  Eigen::VectorXd at = Eigen::VectorXd::Zero(loss.size());
  LogisticModel model{given.count, given.classes};
  minimize(loss, options, at, model);
  model.weight.assign(static_cast<size_t>(given.classes * given.count), 0);
  model.bias.assign(static_cast<size_t>(given.classes), -std::numeric_limits<double>::infinity());
  for (size_t c = 0; c < number.size(); ++c) {
    if (number[c] < 0) continue;
    for (int64_t d = 0; d < given.count; ++d)
      model.weight[c * static_cast<size_t>(given.count) + static_cast<size_t>(d)] =
          at(d * features.classes + number[c]);
    model.bias[c] = at(given.count * features.classes + number[c]);
  }
  return model;
}

std::vector<double> log_probabilities(const LogisticModel& model, const ClassedFeatures& features) {
  GRAFT_CHECK(features.count == model.count, "logistic regression: ", features.count,
              " features, expected ", model.count);
  const Eigen::Map<const LogisticRows> x(features.values.data(), features.samples, features.count),
      w(model.weight.data(), model.classes, model.count);
  const Eigen::Map<const Eigen::RowVectorXd> bias(model.bias.data(), model.classes);
  LogisticRows z = x * w.transpose();
  z.rowwise() += bias;
  log_softmax_rows(z);
  return {z.data(), z.data() + z.size()};
}

}  // namespace graft::train
