#include "graft/train/tasks/classification/transferability/classed_features.h"

#include <algorithm>
#include <cmath>

#include "graft/core/base/error.h"

namespace graft::train {

std::vector<int64_t> ClassedFeatures::sizes() const {
  std::vector<int64_t> of_class(static_cast<size_t>(classes));
  for (const int64_t label : labels) {
    GRAFT_CHECK(label >= 0 && label < classes, "transferability: class ", label, " of ", classes);
    ++of_class[static_cast<size_t>(label)];
  }
  return of_class;
}

void ClassedFeatures::check() const {
  GRAFT_CHECK(samples >= 1 && count >= 1, "transferability: ", samples, " samples of ", count,
              " features");
  GRAFT_CHECK(std::ssize(values) == samples * count && std::ssize(labels) == samples,
              "transferability: ", values.size(), " values and ", labels.size(), " labels for ",
              samples, " samples of ", count, " features");
  GRAFT_CHECK(classes >= 2,
              "transferability: the samples are of one class; at least two are needed");
  const std::vector<int64_t> of_class = sizes();
  for (size_t c = 0; c < of_class.size(); ++c)
    GRAFT_CHECK(of_class[c] > 0, "transferability: class ", c, " has no sample");
  for (size_t i = 0; i < values.size(); ++i)
    GRAFT_CHECK(std::isfinite(values[i]), "transferability: feature ",
                static_cast<int64_t>(i) % count, " of sample ", static_cast<int64_t>(i) / count,
                " is no finite number");
}

ClassedFeatures ClassedFeatures::of(std::span<const int64_t> chosen) const {
  ClassedFeatures some{std::ssize(chosen), count, classes};
  some.values.reserve(chosen.size() * static_cast<size_t>(count));
  some.labels.reserve(chosen.size());
  for (const int64_t sample : chosen) {
    GRAFT_ASSERT(sample >= 0 && sample < samples);
    const auto row = values.begin() + sample * count;
    some.values.insert(some.values.end(), row, row + count);
    some.labels.push_back(labels[static_cast<size_t>(sample)]);
  }
  return some;
}

ClassedFeatures classed_features(const Tensor& features, const std::vector<int64_t>& labels) {
  GRAFT_CHECK(features.defined() && features.rank() >= 2 && features.size(0) >= 1,
              "transferability: no features");
  const int64_t samples = features.size(0), count = features.size(1);
  GRAFT_CHECK(features.numel() == samples * count, "transferability: features ", features.shape(),
              ", expected [N,D]");
  GRAFT_CHECK(std::ssize(labels) == samples, "transferability: ", labels.size(), " labels for ",
              samples, " samples");
  std::vector<int64_t> names = labels;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  ClassedFeatures made{samples, count, std::ssize(names), features.to_doubles()};
  for (const int64_t label : labels)
    made.labels.push_back(std::lower_bound(names.begin(), names.end(), label) - names.begin());
  made.check();
  return made;
}

}  // namespace graft::train
