// WAV: every encoding that is read, and the sentence for what is not.
#include "graft/io/sounds/wav.h"

#include <gtest/gtest.h>

#include <limits>

#include "graft/core/base/error.h"
#include "graft/tests/support/wav_writer.h"

namespace graft::io {
namespace {

Sound decoded(const std::string& file) {
  return decode_wav(std::as_bytes(std::span(file)), "a.wav");
}

std::string refusal(const std::string& file) {
  try {
    decoded(file);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    return error.what();
  }
  return "";
}

void expect_refusal(const std::string& file, const std::string& sentence) {
  EXPECT_NE(refusal(file).find(sentence), std::string::npos) << refusal(file);
}

// Place of the fmt chunk's field in wav_file().
std::string with(std::string file, size_t at, uint64_t value, size_t bytes) {
  std::string number;
  append_number(number, value, bytes);
  return file.replace(at, bytes, number);
}

const std::vector<double> kSamples{0, 0.5, -0.5, 0.25, -1, 0.75};

TEST(Wav, EveryEncodingIsTheSameNumbers) {
  for (const bool extensible : {false, true})
    for (const auto& [bits, is_float] : {std::pair(8u, false),
                                         {16u, false},
                                         {24u, false},
                                         {32u, false},
                                         {32u, true},
                                         {64u, true}}) {
      const Sound sound = decoded(wav_file(
          kSamples, {.rate = 44100, .bits = bits, .is_float = is_float, .extensible = extensible}));
      EXPECT_EQ(sound.rate, 44100);
      EXPECT_EQ(sound.channels, 1);
      EXPECT_EQ(sound.samples, std::vector<float>(kSamples.begin(), kSamples.end()))
          << bits << is_float << extensible;
    }
}

TEST(Wav, ChannelsBecomeTheirMean) {
  const Sound sound = decoded(wav_file(kSamples, {.channels = 2}));
  EXPECT_EQ(sound.samples, (std::vector<float>{0.25F, -0.125F, -0.125F}));
  EXPECT_EQ(sound.channels, 2);
}

TEST(Wav, OtherChunksArePassedOverAndAPipesSizeGoesToTheEnd) {
  std::string file = wav_file(kSamples);
  file.insert(12, std::string("LIST\x03\x00\x00\x00"
                              "abc\x00",
                              12));
  EXPECT_EQ(decoded(file).samples.size(), 6u);
  const std::string piped = with(wav_file(kSamples), 40, 0xffffffff, 4);
  EXPECT_EQ(decoded(piped).samples.size(), 6u);
}

TEST(Wav, WhatIsNoneIsRefusedInOneSentence) {
  const std::string good = wav_file(kSamples);
  expect_refusal("", "a.wav: is empty, not a WAV file");
  expect_refusal("ID3 something else", "is not a WAV file");
  expect_refusal(good.substr(0, 10), "is not a WAV file");
  expect_refusal(good.substr(0, 36), "truncated WAV file: it has no data chunk");
  expect_refusal(good.substr(0, 50), "a truncated WAV file: a chunk of 12 bytes has 6");
  expect_refusal(wav_file({}), "a WAV file without samples");
  expect_refusal(with(good, 20, 85, 2), "of encoding 85 (MP3); PCM and floating point are read");
  expect_refusal(with(good, 20, 6, 2), "(A-law)");
  expect_refusal(with(good, 22, 0, 2), "of 0 channels");
  expect_refusal(with(good, 22, 65535, 2), "of 65535 channels");
  expect_refusal(with(good, 24, 0, 4), "of 0 samples a second");
  expect_refusal(with(good, 34, 12, 2), "of 12 bits a sample");
  expect_refusal(with(good, 32, 3, 2), "are 3 bytes together");
  expect_refusal(with(good, 16, 4, 4), "whose fmt chunk has 4 bytes");
  std::string data_first = good;
  data_first.replace(12, 4, "junk");
  expect_refusal(data_first, "whose data come before their format");
  expect_refusal(
      wav_file({0, std::numeric_limits<double>::quiet_NaN()}, {.bits = 32, .is_float = true}),
      "sample 1 is not a finite number");
  expect_refusal(wav_file({0, 1e300}, {.bits = 64, .is_float = true}),
                 "sample 1 is not a finite number");
}

// Every prefix and many damaged bytes: an error or a sound, nothing else.
TEST(Wav, DamageIsAnErrorOrASound) {
  const std::string good = wav_file(kSamples, {.channels = 2, .extensible = true});
  for (size_t i = 0; i < good.size(); ++i) {
    refusal(good.substr(0, i));
    for (const char byte : {'\0', '\x7f', '\xff'}) {
      std::string damaged = good;
      damaged[i] = byte;
      refusal(damaged);
    }
  }
}

}  // namespace
}  // namespace graft::io
