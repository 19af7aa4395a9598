// Spectrograms against librosa and numpy (tests/golden/sounds.py), and closed forms.
#include "graft/io/sounds/spectrogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "graft/core/base/error.h"
#include "graft/io/sounds/resample.h"
#include "graft/io/weights/weights.h"
#include "graft/tests/support/wav_writer.h"

namespace graft::io {
namespace {

const StateDict& goldens() {
  static const WeightFile file = read_weights(GRAFT_TEST_DATA "/sounds/spectrograms.npz");
  return file.tensors;
}

std::vector<float> golden(const std::string& name) {
  const Tensor tensor = goldens().at(name);
  return {tensor.data<float>(), tensor.data<float>() + tensor.numel()};
}

// Within 1e-4 of the array's largest value.
void expect_golden(const std::vector<float>& values, const std::string& name) {
  const std::vector<float> expected = golden(name);
  ASSERT_EQ(values.size(), expected.size()) << name;
  float largest = 0, worst = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    worst = std::max(worst, std::abs(expected[i] - values[i]));
  }
  EXPECT_LE(worst, 1e-4F * largest) << name << ", largest " << largest;
}

SoundSteps steps_of(const std::string& settings) {
  SoundSteps steps;
  steps.set(settings);
  return steps;
}

void expect_features(const std::string& settings, const std::string& name) {
  Spectrogram spectrogram(steps_of("rate=8000," + settings));
  const std::vector<float> x = golden("x");
  expect_golden(spectrogram.features(spectrogram.waveform({8000, x})), name);
}

TEST(Spectrogram, IsLibrosas) {
  expect_features("fft=256,window=256,hop=80,mels=40,frames=31", "logmel");
  expect_features("fft=256,window=256,hop=80,mels=40,frames=31,features=mel", "mel");
  expect_features(
      "fft=256,window=200,hop=80,mels=32,frames=31,pad=reflect,scale=htk,norm=none,low=20,high="
      "3800,"
      "log=ln,floor=1e-6",
      "ln_htk");
  expect_features(
      "fft=128,window=100,hop=60,frames=41,features=spectrogram,power=1,shape=hamming,"
      "reference=one,floor=1e-5,range=0",
      "amplitude");
  expect_features(
      "fft=400,window=400,hop=80,frames=26,mels=24,center=no,shape=rectangular,reference=one,"
      "range=60",
      "odd_fft");
  expect_features(
      "fft=256,window=256,hop=80,mels=40,frames=31,features=mfcc,coefficients=13,lifter=22,"
      "reference=one",
      "mfcc");
}

TEST(Spectrogram, BandsAreLibrosas) {
  for (const bool htk : {false, true}) {
    const auto bands = htk ? mel_bands(16000, 512, 16, 0, 8000, true, false)
                           : mel_bands(16000, 512, 16, 50, 7000, false, true);
    std::vector<float> all(16 * 257, 0.0F);
    for (size_t b = 0; b < bands.size(); ++b)
      for (size_t k = 0; k < bands[b].weights.size(); ++k)
        all[b * 257 + static_cast<size_t>(bands[b].first) + k] =
            static_cast<float>(bands[b].weights[k]);
    expect_golden(all, htk ? "bands_htk" : "bands_slaney");
  }
}

TEST(Resample, IsTorchaudiosFormula) {
  const std::vector<float> x = golden("short");
  for (const auto& [from, to] :
       {std::pair<int64_t, int64_t>(8000, 16000), {44100, 16000}, {16000, 11025}, {8000, 7999}}) {
    const int64_t count = resampled_count(std::ssize(x), from, to);
    const std::vector<float> all = resampled(x, from, to, 0, count);
    expect_golden(all, str("from_", from, "_to_", to));
    const std::vector<float> part = resampled(x, from, to, 50, 100);
    EXPECT_EQ(part, std::vector<float>(all.begin() + 50, all.begin() + 150));
  }
  EXPECT_EQ(resampled(x, 8000, 8000, 0, std::ssize(x)), x);
}

TEST(Spectrogram, SilenceIsTrimmedAsLibrosaDoes) {
  std::vector<float> quiet(3000, 0.0F);
  const std::vector<float> x = golden("x");
  quiet.insert(quiet.end(), x.begin(), x.end());
  quiet.resize(quiet.size() + 4100, 0.0F);
  const auto [begin, end] = loud_part(quiet, 30);
  const int64_t* edges = goldens().at("trim").data<int64_t>();
  EXPECT_EQ(begin, edges[0]);
  EXPECT_EQ(end, edges[1]);
}

TEST(Fourier, OfAnyLengthIsTheSum) {
  for (const int64_t n : {1, 2, 3, 8, 12, 25, 64}) {
    Fourier fourier(n);
    std::vector<double> x;
    for (int64_t i = 0; i < n; ++i) x.push_back(std::sin(1.7 * double(i)) + 0.1 * double(i));
    const auto spectrum = fourier(x);
    ASSERT_EQ(std::ssize(spectrum), n / 2 + 1);
    for (int64_t k = 0; k <= n / 2; ++k) {
      std::complex<double> sum = 0;
      for (int64_t i = 0; i < n; ++i)
        sum += x[static_cast<size_t>(i)] *
               std::polar(1.0, -2 * std::numbers::pi * double(i * k) / double(n));
      EXPECT_LT(std::abs(sum - spectrum[static_cast<size_t>(k)]), 1e-11 * double(n))
          << n << " " << k;
    }
  }
}

TEST(Spectrogram, SoundsArePaddedCroppedAndShifted) {
  const SoundSteps start = steps_of("rate=1000,fft=16,window=16,hop=4,frames=3");  // 8 samples
  const SoundSteps middle = steps_of("rate=1000,fft=16,window=16,hop=4,frames=3,crop=middle");
  const Sound shorter{1000, {1, 2, 3}}, longer{1000, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  using Samples = std::vector<float>;
  EXPECT_EQ(Spectrogram(start).waveform(shorter), (Samples{0, 0, 1, 2, 3, 0, 0, 0}));
  EXPECT_EQ(Spectrogram(start).waveform(longer), (Samples{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(Spectrogram(middle).waveform(longer), (Samples{3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(Spectrogram(start).waveform(longer, 2), (Samples{3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(Spectrogram(start).waveform(shorter, -2), (Samples{0, 0, 0, 0, 1, 2, 3, 0}));
  EXPECT_EQ(Spectrogram(start).waveform(shorter, 100), Samples(8, 0.0F));
}

TEST(Spectrogram, APictureIsUprightAndWithinRange) {
  SoundSteps steps = steps_of("rate=8000,mels=32,frames=20");
  Spectrogram spectrogram(steps);
  const auto low = spectrogram.picture(
      spectrogram.features(spectrogram.waveform({8000, std::vector<float>(4000, 0.5F)})));
  EXPECT_EQ(low.size(), 32u * 20);
  EXPECT_EQ(*std::max_element(low.begin(), low.end()), 1.0F);
  EXPECT_GE(*std::min_element(low.begin(), low.end()), 0.0F);
  EXPECT_GT(low[31 * 20 + 10], low[10]) << "what does not swing is low, at the bottom";
  steps.set("size=16x10");
  Spectrogram half(steps);
  const auto small = half.picture(
      spectrogram.features(spectrogram.waveform({8000, std::vector<float>(4000, 0.5F)})));
  ASSERT_EQ(small.size(), 160u);
  EXPECT_FLOAT_EQ(small[0], (low[0] + low[1] + low[20] + low[21]) / 4);
}

TEST(Spectrogram, SilenceIsFinite) {
  for (const char* more : {"", ",normalize=sound", ",normalize=none,log=ln", ",features=mfcc"}) {
    Spectrogram spectrogram(steps_of(str("rate=8000,frames=8", more)));
    for (const float value : spectrogram.picture(
             spectrogram.features(spectrogram.waveform({8000, std::vector<float>(100, 0.0F)}))))
      ASSERT_TRUE(std::isfinite(value)) << more;
  }
}

std::string refusal_of(const std::string& settings) {
  try {
    steps_of(settings);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

TEST(SoundSteps, GoToJsonAndBackAndRefuseNonsense) {
  const SoundSteps steps =
      steps_of("rate=22050,mels=40,features=mfcc,center=no,size=32x48,trim=25");
  EXPECT_EQ(SoundSteps::from_json(steps.to_json()), steps);
  EXPECT_NE(refusal_of("mel=3").find("there is no 'mel'; there are size, coefficients"),
            std::string::npos);
  EXPECT_NE(refusal_of("mels").find("'mels' is not KEY=VALUE"), std::string::npos);
  EXPECT_NE(refusal_of("mels=many").find("mels=many cannot be read"), std::string::npos);
  EXPECT_NE(refusal_of("fft=8").find("fft 8 is not between 16 and 16384"), std::string::npos);
  EXPECT_NE(refusal_of("window=600").find("window 600 is not between 2 and 512"),
            std::string::npos);
  EXPECT_NE(refusal_of("shape=kaiser").find("shape 'kaiser' is none of"), std::string::npos);
  EXPECT_NE(refusal_of("low=nan").find("low"), std::string::npos);
  EXPECT_NE(refusal_of("hop=16384,frames=8192").find("samples of all frames"), std::string::npos);
  for (const char* broken : {"", "{", "[]", "{}", "{\"rate\":\"x\"}"})
    EXPECT_THROW(SoundSteps::from_json(broken), Error) << broken;
}

}  // namespace
}  // namespace graft::io
