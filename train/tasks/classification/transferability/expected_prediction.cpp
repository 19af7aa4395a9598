#include "graft/train/tasks/classification/transferability/expected_prediction.h"

#include <cmath>

#include "graft/core/base/error.h"
#include "graft/train/tasks/classification/transferability/classed_features.h"

namespace graft::train {

double expected_prediction(const Tensor& probabilities, const std::vector<int64_t>& labels) {
  const ClassedFeatures p = classed_features(probabilities, labels);
  std::vector<double> joint(static_cast<size_t>(p.classes * p.count));  // [C,Cs]
  std::vector<double> source(static_cast<size_t>(p.count));
  for (int64_t i = 0; i < p.samples; ++i)
    for (int64_t z = 0; z < p.count; ++z) {
      const double value = p.values[static_cast<size_t>(i * p.count + z)];
      GRAFT_CHECK(value >= 0 && value <= 1.0001, "transferability: ", value, " is no probability");
      joint[static_cast<size_t>(p.labels[static_cast<size_t>(i)] * p.count + z)] += value;
      source[static_cast<size_t>(z)] += value;
    }
  double sum = 0;
  for (int64_t i = 0; i < p.samples; ++i) {
    const int64_t label = p.labels[static_cast<size_t>(i)];
    double foretold = 0;
    for (int64_t z = 0; z < p.count; ++z) {
      const double all = source[static_cast<size_t>(z)];
      if (all > 0)
        foretold += p.values[static_cast<size_t>(i * p.count + z)] *
                    joint[static_cast<size_t>(label * p.count + z)] / all;
    }
    sum += std::log(std::max(foretold, 1e-300));
  }
  return sum / static_cast<double>(p.samples);
}

}  // namespace graft::train
