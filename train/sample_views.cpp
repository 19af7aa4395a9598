#include "graft/train/sample_views.h"

namespace graft::train {

std::optional<CountedRandom> SampleViews::random_of(int64_t sample) const {
  if (!augment.any()) return std::nullopt;
  const int64_t view = views > 0 ? epoch % views : epoch;
  if (views > 0 && view == 0) return std::nullopt;
  return CountedRandom(seed, RandomPurpose::augmentation, static_cast<uint64_t>(view),
                       static_cast<uint64_t>(sample));
}

io::InputGeometry SampleViews::geometry(int64_t sample, int64_t width, int64_t height) const {
  std::optional<CountedRandom> random = random_of(sample);
  return io::input_geometry(preprocess, augment, width, height, random ? &*random : nullptr);
}

}  // namespace graft::train
