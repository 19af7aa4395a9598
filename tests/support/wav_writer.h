// WAV files for tests: any encoding that graft reads, and tones.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <vector>

#include "graft/core/runtime/random.h"

namespace graft {

struct WavOptions {
  uint32_t rate = 8000, channels = 1, bits = 16;
  bool is_float = false, extensible = false;
};

inline void append_number(std::string& to, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i) & 0xff);
}

// samples: interleaved, full scale 1.
inline std::string wav_file(const std::vector<double>& samples, const WavOptions& o = {}) {
  std::string data, format;
  for (const double s : samples) {
    if (o.is_float && o.bits == 32)
      append_number(data, std::bit_cast<uint32_t>(static_cast<float>(s)), 4);
    else if (o.is_float)
      append_number(data, std::bit_cast<uint64_t>(s), 8);
    else if (o.bits == 8)
      append_number(data, static_cast<uint64_t>(std::lround(s * 128) + 128), 1);
    else
      append_number(data, static_cast<uint64_t>(std::llround(std::ldexp(s, int(o.bits) - 1))),
                    o.bits / 8);
  }
  const uint32_t encoding = o.is_float ? 3 : 1;
  append_number(format, o.extensible ? 0xfffe : encoding, 2);
  append_number(format, o.channels, 2);
  append_number(format, o.rate, 4);
  append_number(format, uint64_t{o.rate} * o.channels * o.bits / 8, 4);
  append_number(format, o.channels * o.bits / 8, 2);
  append_number(format, o.bits, 2);
  if (o.extensible) {
    append_number(format, 22, 2);
    append_number(format, o.bits, 2);
    append_number(format, 0, 4);
    append_number(format, encoding, 2);
    format += std::string("\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71", 14);
  }
  std::string file = "WAVEfmt ";
  append_number(file, format.size(), 4);
  file += format + "data";
  append_number(file, data.size(), 4);
  file += data + std::string(data.size() % 2, '\0');
  std::string all = "RIFF";
  append_number(all, file.size(), 4);
  return all + file;
}

// A tone of so many Hz with counted noise, of its own loudness and start.
inline std::vector<double> tone(double hertz, double seconds, uint64_t seed, double rate = 8000) {
  CountedRandom random(seed, RandomPurpose::synthetic);
  const double loud = random.uniform(0.2, 0.8), phase = random.uniform(0, 6.28);
  std::vector<double> samples;
  for (int i = 0; i < static_cast<int>(seconds * rate); ++i)
    samples.push_back(loud * std::sin(2 * std::numbers::pi * hertz * i / rate + phase) +
                      0.05 * random.uniform(-1, 1));
  return samples;
}

}  // namespace graft
