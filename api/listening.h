// What is heard in a long recording, and when: a model of sounds over windows of it.
//   Predictor model("words.safetensors");
//   for (const SoundEvent& event : listen(model, sound).events) ...
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "graft/api/predictor.h"
#include "graft/io/sounds/wav.h"

namespace graft {

struct ListenOptions {
  double every = 0;  // seconds from one window to the next; 0: half of a window, of texts a whole
  // Of how many successive windows, odd, the probabilities' mean is taken around each (fewer at the
  // ends). Of texts 1 alone.
  int64_t smooth = 3;
  // From which mean probability on something is heard; of several labels a window 0: the model's
  // own thresholds.
  double least = 0.5;
  std::function<void(int64_t done, int64_t all)> on_progress{};
};

// Something that was heard, from its first window to its last.
struct SoundEvent {
  double begin = 0, end = 0;  // seconds
  std::string what{};         // a label's name, or a text
  int64_t index = 0;          // of the label
  double probability = 0;     // the highest of the windows' means; of a text its own
};

struct Heard {
  double seconds = 0, window = 0, every = 0;  // of the recording; of a window; between two
  int64_t windows = 0;
  std::vector<SoundEvent> events{};  // by their begin, then by their index
};

// A window stands for the time around its middle, up to halfway to the next. Windows begin at 0 and
// go on while one begins within the recording and the one before it does not reach its end; what a
// window has beyond the end is silence, as training has it. Labels of one sample (classify) are
// heard one at a time, several (multilabel) side by side, of texts (transcribe) each window's own.
// Error(bad_input) for a model of other tasks or inputs, an option out of its range, and more than
// a million windows; a window whose answer is not finite hears nothing.
GRAFT_API Heard listen(const Predictor& predictor, const io::Sound& sound,
                       const ListenOptions& options = {});

// The means of `size` successive rows around each row of [rows,columns], fewer at the ends.
GRAFT_API std::vector<std::vector<float>> smoothed_rows(const std::vector<std::vector<float>>& rows,
                                                        int64_t size);

}  // namespace graft
