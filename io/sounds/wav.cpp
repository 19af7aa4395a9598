#include "graft/io/sounds/wav.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"

namespace graft::io {
namespace {

constexpr uint32_t kPcm = 1, kFloat = 3, kExtensible = 0xfffe, kToTheEnd = 0xffffffff;

using WavBytes = std::span<const std::byte>;

uint32_t wav_number(WavBytes bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= std::to_integer<uint32_t>(bytes[at + i]) << (8 * i);
  return value;
}

bool has_tag(WavBytes bytes, size_t at, const char* tag) {
  return at + 4 <= bytes.size() && std::memcmp(bytes.data() + at, tag, 4) == 0;
}

struct WavFormat {
  uint32_t encoding = 0, channels = 0, rate = 0, bits = 0;
  size_t frame_bytes() const { return size_t{channels} * bits / 8; }
};

const char* encoding_named(uint32_t encoding) {
  switch (encoding) {
    case 2:
    case 17: return " (ADPCM)";
    case 6: return " (A-law)";
    case 7: return " (mu-law)";
    case 85: return " (MP3)";
    default: return "";
  }
}

WavFormat read_format(WavBytes chunk, const std::string& name) {
  GRAFT_CHECK(chunk.size() >= 16, name, ": a WAV file whose fmt chunk has ", chunk.size(),
              " bytes, at least 16 are needed");
  WavFormat format{wav_number(chunk, 0, 2), wav_number(chunk, 2, 2), wav_number(chunk, 4, 4),
                   wav_number(chunk, 14, 2)};
  if (format.encoding == kExtensible) {
    GRAFT_CHECK(chunk.size() >= 40, name, ": a WAV file whose extended fmt chunk has ",
                chunk.size(), " bytes, at least 40 are needed");
    format.encoding = wav_number(chunk, 24, 2);  // the rest of the GUID is the same for all
  }
  const bool is_pcm = format.encoding == kPcm, is_float = format.encoding == kFloat;
  GRAFT_CHECK(is_pcm || is_float, name, ": a WAV file of encoding ", format.encoding,
              encoding_named(format.encoding), "; PCM and floating point are read");
  const bool fits =
      is_float ? format.bits == 32 || format.bits == 64
               : format.bits == 8 || format.bits == 16 || format.bits == 24 || format.bits == 32;
  GRAFT_CHECK(fits, name, ": a WAV file of ", format.bits, " bits a sample; PCM of 8, 16, 24 and ",
              "32 and floating point of 32 and 64 are read");
  GRAFT_CHECK(format.channels >= 1 && format.channels <= 64, name, ": a WAV file of ",
              format.channels, " channels; 1 to 64 are read");
  GRAFT_CHECK(format.rate >= 1000 && format.rate <= 768000, name, ": a WAV file of ", format.rate,
              " samples a second; 1,000 to 768,000 are read");
  GRAFT_CHECK(wav_number(chunk, 12, 2) == format.frame_bytes(), name, ": a WAV file whose ",
              format.channels, " channels of ", format.bits, " bits are ", wav_number(chunk, 12, 2),
              " bytes together");
  return format;
}

double number_at(const std::byte* at, const WavFormat& format) {
  const WavBytes bytes(at, format.bits / 8);
  if (format.encoding == kFloat) {
    if (format.bits == 32) return std::bit_cast<float>(wav_number(bytes, 0, 4));
    const uint64_t low = wav_number(bytes, 0, 4), high = wav_number(bytes, 4, 4);
    return std::bit_cast<double>(low | high << 32);
  }
  if (format.bits == 8) return (std::to_integer<int>(at[0]) - 128) / 128.0;
  const auto raw = wav_number(bytes, 0, bytes.size()) << (32 - format.bits);
  return std::bit_cast<int32_t>(raw) / 2147483648.0;
}

Sound decode_samples(WavBytes data, const WavFormat& format, const std::string& name) {
  const size_t frames = data.size() / format.frame_bytes(), step = format.bits / 8;
  GRAFT_CHECK(frames > 0, name, ": a WAV file without samples");
  GRAFT_CHECK(std::cmp_less_equal(frames, kMostSoundSamples), name, ": ", frames,
              " samples are too many for a sound; up to ", kMostSoundSamples, " are read");
  Sound sound{format.rate, std::vector<float>(frames), format.channels};
  const std::byte* at = data.data();
  for (size_t i = 0; i < frames; ++i) {
    double sum = 0;
    for (uint32_t c = 0; c < format.channels; ++c, at += step) sum += number_at(at, format);
    const auto mean = static_cast<float>(sum / format.channels);
    GRAFT_CHECK(std::isfinite(mean), name, ": sample ", i, " is not a finite number");
    sound.samples[i] = mean;
  }
  return sound;
}

}  // namespace

Sound decode_wav(std::span<const std::byte> bytes, const std::string& name) {
  GRAFT_CHECK(!bytes.empty(), name, ": is empty, not a WAV file");
  GRAFT_CHECK(has_tag(bytes, 0, "RIFF") && has_tag(bytes, 8, "WAVE"), name,
              ": is not a WAV file (RIFF of kind WAVE)");
  WavFormat format;
  for (size_t at = 12; at + 8 <= bytes.size();) {
    const uint32_t says = wav_number(bytes, at + 4, 4);
    const size_t begin = at + 8, there = bytes.size() - begin;
    const bool is_data = has_tag(bytes, at, "data");
    const size_t size = is_data && says == kToTheEnd ? there : says;
    GRAFT_CHECK(size <= there, name, ": a truncated WAV file: a chunk of ", size, " bytes has ",
                there);
    const WavBytes chunk = bytes.subspan(begin, size);
    if (has_tag(bytes, at, "fmt ")) format = read_format(chunk, name);
    if (is_data) {
      GRAFT_CHECK(format.channels > 0, name, ": a WAV file whose data come before their format");
      return decode_samples(chunk, format, name);
    }
    at = begin + size + size % 2;
  }
  bad_input(name, ": a truncated WAV file: it has no data chunk");
}

int64_t wav_decode_bytes(File& file) {
  // The file, and at most a float for each byte of it.
  const int64_t size = file.size();
  return size + 4 * std::min(size, kMostSoundSamples) + (int64_t{1} << 20);
}

}  // namespace graft::io
