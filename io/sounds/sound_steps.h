// SoundSteps: how a sound becomes a picture of its frequencies over time. Kept in the model's card,
// and the same in training, evaluation and predict.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

struct GRAFT_API SoundSteps {
  int64_t rate = 16000;        // every sound is resampled to it
  double trim = 0;             // silence this many dB below the loudest frame is cut off at
                               // both ends; 0: nothing is
  std::string crop = "start";  // of a longer sound, what is kept: start or middle; a
                               // shorter one stands in the middle of silence
  int64_t frames = 96;         // columns
  int64_t fft = 512, window = 400, hop = 160;  // samples; the window in the middle of the fft
  std::string shape = "hann";       // of the window, periodic: hann, hamming or rectangular
  bool center = true;               // frame t is around sample t * hop, beyond the ends padded
  std::string pad = "zero";         // with center: zero or reflect
  double power = 2;                 // of the magnitudes: 1 or 2
  std::string features = "logmel";  // spectrogram, mel, logmel or mfcc
  int64_t mels = 64;                // bands, from `low` to `high` Hz (0: half the rate)
  double low = 0, high = 0;
  std::string scale = "slaney";     // of the bands: slaney or htk
  std::string norm = "slaney";      // each band divided by its width, or none
  std::string log = "db";           // db, or ln: the natural logarithm of (x + floor); of
                                    // spectrogram, logmel and mfcc
  double floor = 1e-10;             // least value in db
  std::string reference = "max";    // what is 0 dB: max (of the sound), or one
  double range = 80;                // dB below the highest that are kept; 0: all
  int64_t coefficients = 20;        // of mfcc, by the orthonormal DCT-II
  double lifter = 0;                // of mfcc: weights 1 + lifter/2 sin(pi k / lifter); 0: none
  std::string normalize = "range";  // range: to 0..1 over `range` or the sound's own; sound: its
                                    // mean and deviation to 0 and 1; none
  int64_t height = 0, width = 0;    // of the picture, resized bilinearly; 0: rows and frames

  int64_t rows() const;     // of `features`
  int64_t samples() const;  // that the frames are of
  int64_t picture_height() const { return height > 0 ? height : rows(); }
  int64_t picture_width() const { return width > 0 ? width : frames; }
  // bad_input when a number makes no sense.
  void validate() const;
  // "rate=8000,mels=40,size=96x144" over these; bad_input for a key or a value that is none.
  void set(const std::string& settings);
  std::string to_json() const;  // keys sorted
  static SoundSteps from_json(const std::string& json);
  bool operator==(const SoundSteps&) const = default;
};

}  // namespace graft::io
