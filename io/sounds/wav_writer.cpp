#include "graft/io/sounds/wav_writer.h"

#include <bit>
#include <string_view>

#include "graft/core/base/error.h"

namespace graft::io {
namespace {

constexpr size_t kFormatBytes = 16, kBytesASample = sizeof(float);
constexpr size_t kMostDataBytes = size_t{1} << 30;  // sizes of a WAV file are 32-bit numbers

class WavBytes {
 public:
  void text(std::string_view text) {
    for (const char c : text) bytes_.push_back(static_cast<std::byte>(c));
  }
  void number(uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i)
      bytes_.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace

std::vector<std::byte> encode_wav(std::span<const float> samples, int64_t rate) {
  const size_t data = samples.size() * kBytesASample;
  GRAFT_CHECK(data <= kMostDataBytes, "a WAV file of ", samples.size(), " samples is too long");
  WavBytes wav;
  wav.text("RIFF");
  wav.number(4 + 8 + kFormatBytes + 8 + data, 4);
  wav.text("WAVEfmt ");
  wav.number(kFormatBytes, 4);
  wav.number(3, 2);  // IEEE float
  wav.number(1, 2);  // channel
  wav.number(static_cast<uint64_t>(rate), 4);
  wav.number(static_cast<uint64_t>(rate) * kBytesASample, 4);  // bytes a second
  wav.number(kBytesASample, 2);
  wav.number(8 * kBytesASample, 2);
  wav.text("data");
  wav.number(data, 4);
  for (const float sample : samples) wav.number(std::bit_cast<uint32_t>(sample), 4);
  return wav.take();
}

}  // namespace graft::io
