// Spectrogram: SoundSteps applied to sounds.
#pragma once
#include <span>
#include <vector>

#include "graft/io/sounds/fourier.h"
#include "graft/io/sounds/mel.h"
#include "graft/io/sounds/sound_steps.h"
#include "graft/io/sounds/wav.h"

namespace graft::io {

// For one thread; keeps its tables from one sound to the next.
class GRAFT_API Spectrogram {
 public:
  explicit Spectrogram(const SoundSteps& steps);
  const SoundSteps& steps() const { return steps_; }

  // At the steps' rate, trimmed and cropped: as many samples as the frames are of, silence around a
  // shorter sound. shift: in samples, what is kept lies so much later in the sound.
  std::vector<float> waveform(const Sound& sound, int64_t shift = 0) const;
  // Of such samples the features [rows, frames], before normalization: low frequencies first.
  std::vector<float> features(std::span<const float> samples);
  // Those normalized, as a picture [height, width]: high frequencies at the top.
  std::vector<float> picture(std::span<const float> features) const;

 private:
  void magnitudes(std::span<const float> samples, int64_t frame, std::vector<double>& power);
  void to_decibels(std::vector<double>& values) const;

  SoundSteps steps_;
  Fourier fourier_;
  std::vector<double> window_{}, padded_{}, cosines_{};
  std::vector<MelBand> bands_{};
};

// Where a sound begins and ends but for what is `decibels` below its loudest frame of 2048 samples,
// every 512 (librosa.effects.trim): [begin, end).
GRAFT_API std::pair<int64_t, int64_t> loud_part(std::span<const float> samples, double decibels);

}  // namespace graft::io
