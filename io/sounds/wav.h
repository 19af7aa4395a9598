// WAV files: PCM of 8, 16, 24 and 32 bits and floats of 32 and 64, as one channel of numbers.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft {
class File;
}

namespace graft::io {

// One channel; what was recorded in several is their mean. Full scale of integers is 1.
struct Sound {
  int64_t rate = 0;  // samples a second
  std::vector<float> samples{};
  int64_t channels = 1;  // of the file
};

// More samples of a channel are refused: 23 minutes at 48 kHz.
inline constexpr int64_t kMostSoundSamples = int64_t{1} << 26;

// RIFF/WAVE with a "fmt " of PCM or IEEE float, WAVE_FORMAT_EXTENSIBLE included (Microsoft,
// "Multiple channel audio data and WAVE files"), at 1,000 to 768,000 Hz, of 1 to 64 channels. A
// data chunk of size 0xffffffff, as writers to a pipe leave it, goes to the file's end. bad_input
// naming `name` for anything else: other encodings, truncated files, numbers that are not finite.
GRAFT_API Sound decode_wav(std::span<const std::byte> bytes, const std::string& name);

// The bytes that reading and decoding the file takes at most, by its size alone.
GRAFT_API int64_t wav_decode_bytes(File& file);

}  // namespace graft::io
