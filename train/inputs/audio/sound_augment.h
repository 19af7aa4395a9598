// SoundAugment: random changes of a training sound, all numbers counted: of its samples a shift, a
// gain and noise, of its picture bars that are left out (SpecAugment) and a change of level.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "graft/core/base/export.h"
#include "graft/core/runtime/random.h"

namespace graft::train {

struct SoundAugment {
  double shift = 0;                      // at most this share of the length, earlier or later
  double gain = 0;                       // at most so many dB, louder or softer
  double noise = 0;                      // with this probability white noise is added,
  double snr_low = 20, snr_high = 40;    // so many dB below the sound
  int64_t bars = 0;                      // so many of rows and as many of columns are left out,
  double bar_rows = 0, bar_columns = 0;  // each of at most this share
  double level = 0;                      // values times a factor of 1 - level to 1 + level
};

// none, light or strong; bad_input for another word.
GRAFT_API SoundAugment sound_augment_named(const std::string& name);

// Of `samples`, in samples. Draws one number.
GRAFT_API int64_t random_shift(const SoundAugment& augment, int64_t samples, CountedRandom& random);
// Gain, then noise. Draws two numbers, and where there is noise two more for each sample.
GRAFT_API void change_samples(std::span<float> samples, const SoundAugment& augment,
                              CountedRandom& random);
// Bars of the value `silence` (D. S. Park et al., "SpecAugment", Interspeech 2019), then the level.
GRAFT_API void change_picture(std::span<float> picture, int64_t height, int64_t width,
                              float silence, const SoundAugment& augment, CountedRandom& random);

}  // namespace graft::train
