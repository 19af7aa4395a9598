#include "graft/train/tasks/classification/transferability/log_evidence.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <numbers>

#include "graft/core/runtime/stop.h"

namespace graft::train {
namespace {

using FeatureRows =
    Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

// The squared singular values of the features that are not 0, and by class the squared parts of its
// targets along their left singular vectors.
struct Spectrum {
  Eigen::ArrayXd squares;  // [k]
  Eigen::ArrayXXd parts;   // [k,C]
};

// Of the smaller of F'F and FF', whose eigenvalues are those squares.
Spectrum spectrum_of(const ClassedFeatures& f) {
  const FeatureRows x(f.values.data(), f.samples, f.count);
  Eigen::MatrixXd targets = Eigen::MatrixXd::Zero(f.samples, f.classes);
  for (int64_t i = 0; i < f.samples; ++i) targets(i, f.labels[static_cast<size_t>(i)]) = 1;
  const bool wide = f.samples <= f.count;
  Eigen::MatrixXd gram =
      Eigen::MatrixXd::Zero(wide ? f.samples : f.count, wide ? f.samples : f.count);
  if (wide)
    gram.selfadjointView<Eigen::Lower>().rankUpdate(x);
  else
    gram.selfadjointView<Eigen::Lower>().rankUpdate(x.transpose());
  check_stop();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solved(gram);
  check_stop();
  const Eigen::ArrayXd all = solved.eigenvalues();  // ascending
  const double least = std::max(all(all.size() - 1), 0.0) * 1e-15 * static_cast<double>(all.size());
  Eigen::Index zeros = 0;
  while (zeros < all.size() && !(all(zeros) > least)) ++zeros;
  const Eigen::Index rank = all.size() - zeros;
  Spectrum s{all.tail(rank), {}};
  const auto vectors = solved.eigenvectors().rightCols(rank);
  if (wide)
    s.parts = (vectors.transpose() * targets).array().square();
  else
    s.parts =
        (vectors.transpose() * (x.transpose() * targets)).array().square().colwise() / s.squares;
  return s;
}

// The evidence a sample of one class at ratio = a/b, with the b that makes it highest. `outside`:
// the squared part of its targets that no weights reach; `volume`: the sum of log(1 +
// squares/ratio).
double evidence_at(double ratio, const Spectrum& s, Eigen::Index label, double outside,
                   double volume, double samples) {
  const double rest = (s.parts.col(label) / (1 + s.squares / ratio)).sum() + outside;
  return -0.5 * (volume / samples + std::log(rest / samples) + 1 + std::log(2 * std::numbers::pi));
}

double volume_at(double ratio, const Spectrum& s) { return (1 + s.squares / ratio).log().sum(); }

}  // namespace

double log_evidence(const ClassedFeatures& features) {
  features.check();
  const Spectrum s = spectrum_of(features);
  const auto samples = static_cast<double>(features.samples);
  const double largest = s.squares.size() > 0 ? s.squares.maxCoeff() : 1;
  // A grid over the logarithm of the ratio finds the highest hill, golden sections its top.
  constexpr double step = 0.5, lowest = -34, highest = 23;
  std::vector<double> grid, volumes;
  for (double at = lowest; at <= highest; at += step) {
    grid.push_back(std::log(largest) + at);
    volumes.push_back(volume_at(std::exp(grid.back()), s));
  }
  double sum = 0;
  const std::vector<int64_t> sizes = features.sizes();
  for (Eigen::Index c = 0; c < features.classes; ++c) {
    check_stop();
    const double outside =
        std::max(static_cast<double>(sizes[static_cast<size_t>(c)]) - s.parts.col(c).sum(), 0.0);
    const auto at = [&](double log_ratio, double volume) {
      return evidence_at(std::exp(log_ratio), s, c, outside, volume, samples);
    };
    size_t best = 0;
    double best_value = at(grid[0], volumes[0]);
    for (size_t i = 1; i < grid.size(); ++i)
      if (const double value = at(grid[i], volumes[i]); value > best_value)
        best = i, best_value = value;
    double low = grid[best] - step, high = grid[best] + step;
    const double golden = (std::sqrt(5.0) - 1) / 2;
    for (int round = 0; round < 60; ++round) {
      const double left = high - golden * (high - low), right = low + golden * (high - low);
      const double of_left = at(left, volume_at(std::exp(left), s)),
                   of_right = at(right, volume_at(std::exp(right), s));
      best_value = std::max({best_value, of_left, of_right});
      (of_left < of_right ? low : high) = of_left < of_right ? left : right;
    }
    sum += best_value;
  }
  return sum / static_cast<double>(features.classes);
}

}  // namespace graft::train
