#include "graft/io/sounds/spectrogram.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "graft/core/base/error.h"
#include "graft/io/sounds/resample.h"

namespace graft::io {
namespace {

constexpr int64_t kTrimFrame = 2048, kTrimHop = 512;

std::vector<double> window_of(const SoundSteps& steps) {
  std::vector<double> window(static_cast<size_t>(steps.fft));
  const int64_t before = (steps.fft - steps.window) / 2;
  const double base = steps.shape == "hamming" ? 0.54 : 0.5;
  for (int64_t i = 0; i < steps.window; ++i) {
    const double turn = 2 * std::numbers::pi * static_cast<double>(i) /
                        static_cast<double>(steps.window);  // periodic
    window[static_cast<size_t>(before + i)] =
        steps.shape == "rectangular" ? 1 : base - (1 - base) * std::cos(turn);
  }
  return window;
}

// Place `i` of a mirror without the edge repeated.
int64_t reflected(int64_t i, int64_t count) {
  if (i < 0) i = -i;
  return i < count ? i : 2 * (count - 1) - i;
}

struct FeatureRange {
  float low, high;
};
FeatureRange range_of_features(std::span<const float> values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {*low, *high};
}

// To 0..1 over `range` dB below the highest, or over what the sound has.
void normalize_by_range(std::vector<float>& values, const SoundSteps& steps) {
  FeatureRange range = range_of_features(values);
  const bool is_decibels = steps.log == "db" && steps.features != "mel" && steps.features != "mfcc";
  if (is_decibels && steps.range > 0) range.low = range.high - static_cast<float>(steps.range);
  const float span = range.high > range.low ? range.high - range.low : 1;
  for (float& value : values) value = std::clamp((value - range.low) / span, 0.0F, 1.0F);
}

void normalize_by_sound(std::vector<float>& values) {
  double mean = 0, square = 0;
  const auto n = static_cast<double>(values.size());
  for (const float value : values) mean += static_cast<double>(value) / n;
  for (const float value : values) square += (value - mean) * (value - mean) / n;
  const double deviation = square > 1e-12 ? std::sqrt(square) : 1;
  for (float& value : values) value = static_cast<float>((value - mean) / deviation);
}

// Bilinear, half-pixel centers, edges repeated, no antialiasing (PyTorch's interpolate).
std::vector<float> resized(std::span<const float> from, int64_t rows, int64_t columns,
                           int64_t height, int64_t width) {
  struct Place {
    int64_t first, second;
    double share;
  };
  const auto place = [](int64_t i, int64_t in, int64_t out) {
    const double scale = static_cast<double>(in) / static_cast<double>(out);
    const double at = std::max(0.0, (static_cast<double>(i) + 0.5) * scale - 0.5);
    const int64_t first = std::min(static_cast<int64_t>(at), in - 1);
    return Place{first, std::min(first + 1, in - 1), at - static_cast<double>(first)};
  };
  std::vector<float> to;
  to.reserve(static_cast<size_t>(height * width));
  for (int64_t y = 0; y < height; ++y) {
    const Place row = place(y, rows, height);
    const float* upper = from.data() + row.first * columns;
    const float* lower = from.data() + row.second * columns;
    for (int64_t x = 0; x < width; ++x) {
      const Place column = place(x, columns, width);
      const auto along = [&](const float* line) {
        return line[column.first] * (1 - column.share) + line[column.second] * column.share;
      };
      to.push_back(static_cast<float>(along(upper) * (1 - row.share) + along(lower) * row.share));
    }
  }
  return to;
}

}  // namespace

std::pair<int64_t, int64_t> loud_part(std::span<const float> samples, double decibels) {
  const int64_t count = std::ssize(samples), frames = 1 + count / kTrimHop;
  std::vector<double> power;
  double loudest = 0;
  for (int64_t t = 0; t < frames; ++t) {
    const int64_t begin = std::max<int64_t>(t * kTrimHop - kTrimFrame / 2, 0),
                  end = std::min(t * kTrimHop + kTrimFrame / 2, count);
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) {
      const double value = samples[static_cast<size_t>(i)];
      sum += value * value;
    }
    power.push_back(sum / kTrimFrame);
    loudest = std::max(loudest, power.back());
  }
  constexpr double least = 1e-10;
  const auto is_loud = [&](double p) {
    return 10 * std::log10(std::max(p, least) / std::max(loudest, least)) > -decibels;
  };
  const auto first = std::find_if(power.begin(), power.end(), is_loud);
  if (first == power.end()) return {0, 0};
  const auto last = std::find_if(power.rbegin(), power.rend(), is_loud).base();
  return {(first - power.begin()) * kTrimHop, std::min((last - power.begin()) * kTrimHop, count)};
}

Spectrogram::Spectrogram(const SoundSteps& steps) : steps_(steps), fourier_(steps.fft) {
  steps.validate();
  window_ = window_of(steps);
  padded_.resize(static_cast<size_t>(steps.fft));
  if (steps.features == "spectrogram") return;
  const double high = steps.high > 0 ? steps.high : static_cast<double>(steps.rate) / 2;
  bands_ = mel_bands(steps.rate, steps.fft, steps.mels, steps.low, high, steps.scale == "htk",
                     steps.norm == "slaney");
  if (steps.features != "mfcc") return;
  cosines_ = cosine_rows(steps.coefficients, steps.mels);
  if (steps.lifter == 0) return;
  for (int64_t k = 0; k < steps.coefficients; ++k)
    for (int64_t i = 0; i < steps.mels; ++i)
      cosines_[static_cast<size_t>(k * steps.mels + i)] *=
          1 +
          steps.lifter / 2 * std::sin(std::numbers::pi * static_cast<double>(k + 1) / steps.lifter);
}

std::vector<float> Spectrogram::waveform(const Sound& sound, int64_t shift) const {
  const int64_t wanted = steps_.samples();
  std::vector<float> whole;
  int64_t first = 0, count = resampled_count(std::ssize(sound.samples), sound.rate, steps_.rate);
  if (steps_.trim > 0) {
    whole = resampled(sound.samples, sound.rate, steps_.rate, 0, count);
    const auto [begin, end] = loud_part(whole, steps_.trim);
    if (end > begin) first = begin, count = end - begin;
  }
  // Place 0 of what is kept, in the sound.
  const int64_t begin = shift + (count < wanted            ? -((wanted - count) / 2)
                                 : steps_.crop == "middle" ? (count - wanted) / 2
                                                           : 0);
  const int64_t from = std::clamp<int64_t>(begin, 0, count),
                to = std::clamp<int64_t>(begin + wanted, 0, count);
  std::vector<float> kept(static_cast<size_t>(wanted), 0.0F);
  if (from >= to) return kept;
  const std::vector<float> there =
      whole.empty() ? resampled(sound.samples, sound.rate, steps_.rate, first + from, to - from)
                    : std::vector<float>(whole.begin() + first + from, whole.begin() + first + to);
  std::copy(there.begin(), there.end(), kept.begin() + (from - begin));
  return kept;
}

void Spectrogram::magnitudes(std::span<const float> samples, int64_t frame,
                             std::vector<double>& power) {
  const int64_t count = std::ssize(samples);
  const int64_t begin = frame * steps_.hop - (steps_.center ? steps_.fft / 2 : 0);
  const bool reflects = steps_.pad == "reflect";
  for (int64_t i = 0; i < steps_.fft; ++i) {
    int64_t at = begin + i;
    if (reflects && (at < 0 || at >= count)) at = reflected(at, count);
    const double sample = at < 0 || at >= count ? 0 : samples[static_cast<size_t>(at)];
    padded_[static_cast<size_t>(i)] = sample * window_[static_cast<size_t>(i)];
  }
  const auto spectrum = fourier_(padded_);
  power.clear();
  for (const auto& value : spectrum) {
    const double square = value.real() * value.real() + value.imag() * value.imag();
    power.push_back(steps_.power == 2 ? square : std::sqrt(square));
  }
}

// As librosa.power_to_db, and amplitude_to_db of magnitudes.
void Spectrogram::to_decibels(std::vector<double>& values) const {
  const double factor = 20 / steps_.power;
  double most = 0;
  for (const double value : values) most = std::max(most, value);
  const double of_reference =
      steps_.reference == "max" ? factor * std::log10(std::max(most, steps_.floor)) : 0;
  double highest = -INFINITY;
  for (double& value : values) {
    value = factor * std::log10(std::max(value, steps_.floor)) - of_reference;
    highest = std::max(highest, value);
  }
  if (steps_.range > 0)
    for (double& value : values) value = std::max(value, highest - steps_.range);
}

std::vector<float> Spectrogram::features(std::span<const float> samples) {
  GRAFT_CHECK(std::ssize(samples) == steps_.samples(), "a spectrogram of ", samples.size(),
              " samples, made for ", steps_.samples());
  const bool in_bands = steps_.features != "spectrogram";
  const auto frames = static_cast<size_t>(steps_.frames),
             rows = in_bands ? bands_.size() : static_cast<size_t>(steps_.rows());
  std::vector<double> values(rows * frames), power;
  for (size_t t = 0; t < frames; ++t) {
    magnitudes(samples, static_cast<int64_t>(t), power);
    for (size_t r = 0; r < rows; ++r) {
      double sum = in_bands ? 0 : power[r];
      if (in_bands)
        for (size_t k = 0; k < bands_[r].weights.size(); ++k)
          sum += bands_[r].weights[k] * power[static_cast<size_t>(bands_[r].first) + k];
      values[r * frames + t] = sum;
    }
  }
  if (steps_.features != "mel") {
    if (steps_.log == "db")
      to_decibels(values);
    else
      for (double& value : values) value = std::log(value + steps_.floor);
  }
  if (steps_.features != "mfcc") return {values.begin(), values.end()};
  std::vector<float> coefficients;
  for (size_t k = 0; k < static_cast<size_t>(steps_.coefficients); ++k)
    for (size_t t = 0; t < frames; ++t) {
      double sum = 0;
      for (size_t r = 0; r < rows; ++r) sum += cosines_[k * rows + r] * values[r * frames + t];
      coefficients.push_back(static_cast<float>(sum));
    }
  return coefficients;
}

std::vector<float> Spectrogram::picture(std::span<const float> features) const {
  const int64_t rows = steps_.rows(), columns = steps_.frames;
  GRAFT_CHECK(std::ssize(features) == rows * columns, "a picture of ", features.size(),
              " numbers, made for ", rows, "x", columns);
  std::vector<float> values;
  values.reserve(features.size());
  for (int64_t r = rows - 1; r >= 0; --r)
    values.insert(values.end(), features.begin() + r * columns,
                  features.begin() + (r + 1) * columns);
  if (steps_.normalize == "range") normalize_by_range(values, steps_);
  if (steps_.normalize == "sound") normalize_by_sound(values);
  const int64_t height = steps_.picture_height(), width = steps_.picture_width();
  if (height == rows && width == columns) return values;
  return resized(values, rows, columns, height, width);
}

}  // namespace graft::io
