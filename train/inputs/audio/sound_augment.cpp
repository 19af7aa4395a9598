#include "graft/train/inputs/audio/sound_augment.h"

#include <algorithm>
#include <cmath>

#include "graft/core/base/error.h"

namespace graft::train {
namespace {

struct Bar {
  int64_t begin, end;
};

// At most `share` of `count` long, anywhere in it. Draws two numbers.
Bar random_bar(int64_t count, double share, CountedRandom& random) {
  const auto most = static_cast<int64_t>(share * static_cast<double>(count));
  const auto length = static_cast<int64_t>(random.below(static_cast<uint64_t>(most) + 1));
  const auto begin = static_cast<int64_t>(random.below(static_cast<uint64_t>(count - length) + 1));
  return {begin, begin + length};
}

}  // namespace

SoundAugment sound_augment_named(const std::string& name) {
  if (name == "none") return {};
  if (name == "light")
    return {
        .shift = 0.08, .gain = 6, .bars = 1, .bar_rows = 0.125, .bar_columns = 0.125, .level = 0.2};
  if (name == "strong")
    return {.shift = 0.15,
            .gain = 10,
            .noise = 0.5,
            .bars = 2,
            .bar_rows = 0.15,
            .bar_columns = 0.15,
            .level = 0.3};
  bad_input("unknown augmentation '", name, "': expected none, light or strong");
}

int64_t random_shift(const SoundAugment& augment, int64_t samples, CountedRandom& random) {
  return std::llround(random.uniform(-augment.shift, augment.shift) * static_cast<double>(samples));
}

void change_samples(std::span<float> samples, const SoundAugment& augment, CountedRandom& random) {
  const double gain = std::pow(10.0, random.uniform(-augment.gain, augment.gain) / 20);
  const bool has_noise = random.uniform() < augment.noise;
  double power = 0;
  for (float& sample : samples) {
    sample = static_cast<float>(sample * gain);
    power += static_cast<double>(sample) * sample;
  }
  if (!has_noise || samples.empty()) return;
  power /= static_cast<double>(samples.size());
  const double snr = random.uniform(augment.snr_low, augment.snr_high);
  const double deviation = std::sqrt(power / std::pow(10.0, snr / 10));
  for (float& sample : samples) sample += static_cast<float>(deviation * random.normal());
}

void change_picture(std::span<float> picture, int64_t height, int64_t width, float silence,
                    const SoundAugment& augment, CountedRandom& random) {
  float* data = picture.data();
  for (int64_t i = 0; i < augment.bars; ++i) {
    const Bar rows = random_bar(height, augment.bar_rows, random);
    std::fill(data + rows.begin * width, data + rows.end * width, silence);
    const Bar columns = random_bar(width, augment.bar_columns, random);
    for (int64_t y = 0; y < height; ++y)
      std::fill(data + y * width + columns.begin, data + y * width + columns.end, silence);
  }
  if (augment.level == 0) return;
  const auto factor = static_cast<float>(random.uniform(1 - augment.level, 1 + augment.level));
  for (float& value : picture) value *= factor;
}

}  // namespace graft::train
