#include "graft/train/tasks/classification/transferability/neighbors.h"

#include <Eigen/Core>
#include <algorithm>
#include <numeric>

#include "graft/core/base/error.h"
#include "graft/core/runtime/stop.h"

namespace graft::train {
namespace {

// The class with most votes among neighbors, nearest first; of equals the nearest's.
int64_t voted(const std::vector<int64_t>& labels, std::vector<int64_t>& votes) {
  for (const int64_t label : labels) ++votes[static_cast<size_t>(label)];
  int64_t most = 0;
  for (const int64_t label : labels) most = std::max(most, votes[static_cast<size_t>(label)]);
  int64_t chosen = -1;
  for (const int64_t label : labels)
    if (chosen < 0 && votes[static_cast<size_t>(label)] == most) chosen = label;
  for (const int64_t label : labels) votes[static_cast<size_t>(label)] = 0;
  return chosen;
}

}  // namespace

double neighbor_accuracy(const ClassedFeatures& features, int64_t k) {
  features.check();
  GRAFT_CHECK(k >= 1, "nearest neighbors: k is ", k);
  const int64_t samples = features.samples, near = std::min(k, samples - 1);
  using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Rows x = Eigen::Map<const Rows>(features.values.data(), samples, features.count);
  for (Eigen::Index i = 0; i < samples; ++i) x.row(i) /= std::max(x.row(i).norm(), 1e-12);
  constexpr int64_t kBlock = 128;  // rows of cosines at a time
  std::vector<int64_t> order(static_cast<size_t>(samples)), labels,
      votes(static_cast<size_t>(features.classes));
  int64_t right = 0;
  for (int64_t first = 0; first < samples; first += kBlock) {
    check_stop();
    const int64_t rows = std::min(kBlock, samples - first);
    Rows cosines = x.middleRows(first, rows) * x.transpose();
    for (int64_t r = 0; r < rows; ++r) {
      const double* row = cosines.data() + r * samples;
      cosines(r, first + r) = -2;  // not itself: behind all others
      std::iota(order.begin(), order.end(), 0);
      std::partial_sort(
          order.begin(), order.begin() + near, order.end(),
          [row](int64_t a, int64_t b) { return row[a] > row[b] || (row[a] == row[b] && a < b); });
      labels.clear();
      for (int64_t i = 0; i < near; ++i)
        labels.push_back(features.labels[static_cast<size_t>(order[static_cast<size_t>(i)])]);
      right += voted(labels, votes) == features.labels[static_cast<size_t>(first + r)];
    }
  }
  return static_cast<double>(right) / static_cast<double>(samples);
}

}  // namespace graft::train
