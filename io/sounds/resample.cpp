#include "graft/io/sounds/resample.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "graft/core/base/error.h"

namespace graft::io {
namespace {

constexpr double kZeroCrossings = 6, kCutOff = 0.99;
constexpr int64_t kMostPhases = 1024;  // whose weights are kept

// The weights of one output: for input samples first, first + 1, ...
struct Phase {
  int64_t first = 0;  // relative to the whole part of the output's place
  std::vector<double> weights{};
};

// fraction: the output's place in the input less its whole part; scale: the cut-off in cycles of
// the input's rate, times 2.
Phase phase_at(double fraction, double scale) {
  const double reach = kZeroCrossings / scale;
  Phase phase;
  phase.first = static_cast<int64_t>(std::ceil(fraction - reach));
  const auto last = static_cast<int64_t>(std::floor(fraction + reach));
  for (int64_t i = phase.first; i <= last; ++i) {
    const double t = (static_cast<double>(i) - fraction) * scale;
    const double window = std::cos(t * std::numbers::pi / (2 * kZeroCrossings));
    const double angle = t * std::numbers::pi, sinc = angle == 0 ? 1 : std::sin(angle) / angle;
    phase.weights.push_back(scale * sinc * window * window);
  }
  return phase;
}

}  // namespace

int64_t resampled_count(int64_t count, int64_t from, int64_t to) {
  GRAFT_CHECK(count >= 0 && from > 0 && to > 0 && count < (int64_t{1} << 40) && to <= 1 << 20,
              "resampling: ", count, " samples from ", from, " to ", to, " a second");
  const int64_t common = std::gcd(from, to);
  return (count * (to / common) + from / common - 1) / (from / common);
}

std::vector<float> resampled(std::span<const float> samples, int64_t from, int64_t to,
                             int64_t begin, int64_t count) {
  const int64_t there = resampled_count(std::ssize(samples), from, to);
  GRAFT_CHECK(begin >= 0 && count >= 0 && begin + count <= there, "resampling: samples ", begin,
              " to ", begin + count, " of ", there);
  if (from == to) return {samples.begin() + begin, samples.begin() + begin + count};
  const int64_t common = std::gcd(from, to), in = from / common, out = to / common;
  const double scale = static_cast<double>(std::min(in, out)) * kCutOff / static_cast<double>(in);
  std::vector<Phase> phases(static_cast<size_t>(out <= kMostPhases ? out : 0));
  const auto fraction_of = [&](int64_t remainder) {
    return static_cast<double>(remainder) / static_cast<double>(out);
  };
  for (int64_t p = 0; p < std::ssize(phases); ++p)
    phases[static_cast<size_t>(p)] = phase_at(fraction_of(p * in % out), scale);
  std::vector<float> result(static_cast<size_t>(count));
  Phase one;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = (begin + i) * in, whole = at / out;
    if (phases.empty()) one = phase_at(fraction_of(at % out), scale);
    const Phase& phase = phases.empty() ? one : phases[static_cast<size_t>((begin + i) % out)];
    double sum = 0;
    int64_t source = whole + phase.first;
    for (const double weight : phase.weights) {
      if (source >= 0 && source < std::ssize(samples))
        sum += weight * static_cast<double>(samples[static_cast<size_t>(source)]);
      ++source;
    }
    result[static_cast<size_t>(i)] = static_cast<float>(sum);
  }
  return result;
}

}  // namespace graft::io
