#include "graft/io/sounds/mel.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace graft::io {
namespace {

constexpr double kHertzAMel = 200.0 / 3, kLogarithmicFrom = 1000;
const double kLogStep = std::log(6.4) / 27;

}  // namespace

double mel_of(double hertz, bool htk) {
  if (htk) return 2595 * std::log10(1 + hertz / 700);
  if (hertz < kLogarithmicFrom) return hertz / kHertzAMel;
  return kLogarithmicFrom / kHertzAMel + std::log(hertz / kLogarithmicFrom) / kLogStep;
}

double hertz_of(double mel, bool htk) {
  if (htk) return 700 * (std::pow(10.0, mel / 2595) - 1);
  const double from = kLogarithmicFrom / kHertzAMel;
  return mel < from ? mel * kHertzAMel : kLogarithmicFrom * std::exp(kLogStep * (mel - from));
}

std::vector<MelBand> mel_bands(int64_t rate, int64_t fft, int64_t count, double low, double high,
                               bool htk, bool by_width) {
  const double least = mel_of(low, htk), most = mel_of(high, htk);
  const auto edge = [&](int64_t i) {
    const double share = static_cast<double>(i) / static_cast<double>(count + 1);
    return hertz_of(least + (most - least) * share, htk);
  };
  std::vector<MelBand> bands;
  for (int64_t b = 0; b < count; ++b) {
    const double begin = edge(b), peak = edge(b + 1), end = edge(b + 2);
    MelBand band;
    for (int64_t k = 0; k <= fft / 2; ++k) {
      const double hertz = static_cast<double>(k * rate) / static_cast<double>(fft);
      const double weight =
          std::min((hertz - begin) / (peak - begin), (end - hertz) / (end - peak));
      if (weight <= 0) continue;
      if (band.weights.empty()) band.first = k;
      band.weights.push_back(by_width ? weight * 2 / (end - begin) : weight);
    }
    bands.push_back(std::move(band));
  }
  return bands;
}

std::vector<double> cosine_rows(int64_t rows, int64_t columns) {
  std::vector<double> values;
  const auto n = static_cast<double>(columns);
  for (int64_t k = 0; k < rows; ++k)
    for (int64_t i = 0; i < columns; ++i)
      values.push_back(std::sqrt((k == 0 ? 1 : 2) / n) *
                       std::cos(std::numbers::pi * static_cast<double>(k) *
                                static_cast<double>(2 * i + 1) / (2 * n)));
  return values;
}

}  // namespace graft::io
