#include "graft/train/tasks/classification/transferability/class_separation.h"

#include <Eigen/Cholesky>
#include <algorithm>

#include "graft/core/runtime/stop.h"

namespace graft::train {
namespace {

// Of centred features, with the smaller of X'X / N and XX' / N, whose squares add up alike.
double ledoit_wolf_shrinkage(const Eigen::MatrixXd& x, const Eigen::MatrixXd& gram) {
  const auto n = static_cast<double>(x.rows()), d = static_cast<double>(x.cols());
  const double trace = x.squaredNorm() / n, mean = trace / d;
  const double squares = gram.squaredNorm();  // of the covariance's elements
  const double fourth = x.rowwise().squaredNorm().array().square().sum();
  const double distance = (squares - 2 * mean * trace + d * mean * mean) / d;
  const double noise = std::min((fourth / n - squares) / (d * n), distance);
  return noise > 0 ? noise / distance : 0;
}

}  // namespace

SeparationScore class_separation(const ClassedFeatures& features) {
  features.check();
  using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Eigen::MatrixXd x =
      Eigen::Map<const Rows>(features.values.data(), features.samples, features.count);
  x.rowwise() -= x.colwise().mean().eval();
  const auto n = static_cast<double>(features.samples);
  // Means of the classes, each times the root of its share: their products add up to cov(E[F | y]).
  Eigen::MatrixXd means = Eigen::MatrixXd::Zero(features.count, features.classes);
  for (int64_t i = 0; i < features.samples; ++i)
    means.col(features.labels[static_cast<size_t>(i)]) += x.row(i).transpose();
  const std::vector<int64_t> sizes = features.sizes();
  for (Eigen::Index c = 0; c < means.cols(); ++c)
    means.col(c) /= std::sqrt(n * static_cast<double>(sizes[static_cast<size_t>(c)]));
  const bool wide = features.samples < features.count;
  const Eigen::Index side = wide ? x.rows() : x.cols();
  Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(side, side);
  if (wide)
    gram.selfadjointView<Eigen::Lower>().rankUpdate(x, 1 / n);
  else
    gram.selfadjointView<Eigen::Lower>().rankUpdate(x.transpose(), 1 / n);
  gram.triangularView<Eigen::StrictlyUpper>() = gram.transpose();
  check_stop();
  const double mean = x.squaredNorm() / n / static_cast<double>(x.cols());
  if (!(mean > 0)) return {0, 0};  // features that are all alike
  const double shrinkage = ledoit_wolf_shrinkage(x, gram);
  // What stands on the covariance's diagonal; without any shrinkage just enough for an inverse.
  const double ridge = std::max(shrinkage, 1e-12) * mean;
  const double kept = 1 - shrinkage;
  if (!(kept > 0)) return {0, shrinkage};
  gram *= kept;
  gram.diagonal().array() += ridge;
  const Eigen::LLT<Eigen::MatrixXd> factor(gram);
  check_stop();
  double trace = 0;
  if (wide) {  // (ridge I + kept X'X/N)^-1 m = (m - kept/N X' (ridge I + kept XX'/N)^-1 X m) /
               // ridge
    const Eigen::MatrixXd seen = x * means;
    trace = (means.squaredNorm() - kept / n * seen.cwiseProduct(factor.solve(seen)).sum()) / ridge;
  } else {
    trace = means.cwiseProduct(factor.solve(means)).sum();
  }
  return {kept * trace, shrinkage};
}

}  // namespace graft::train
