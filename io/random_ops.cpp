#include "graft/io/random_ops.h"

#include <algorithm>
#include <cmath>

namespace graft::io {
namespace {

constexpr int kPixelOps = 14, kRandOps = 2, kRandStrength = 9;

std::vector<double> evenly(double from, double to) {
  std::vector<double> all;
  for (int i = 0; i < kOpStrengths; ++i) all.push_back(from + (to - from) * i / (kOpStrengths - 1));
  return all;
}

// 8 bits at first, `less` fewer at last; halves go to the even number, as torch's round().
std::vector<double> fewer_bits(int less) {
  std::vector<double> all;
  for (int i = 0; i < kOpStrengths; ++i)
    all.push_back(8 - std::nearbyint(i / ((kOpStrengths - 1) / static_cast<double>(less))));
  return all;
}

}  // namespace

OpStrengths op_strengths(OpPolicy policy, PixelOp op, int64_t width, int64_t height) {
  const bool wide = policy == OpPolicy::trivial;
  switch (op) {
    case PixelOp::shear_x:
    case PixelOp::shear_y: return {evenly(0, wide ? 0.99 : 0.3), true};
    case PixelOp::translate_x:
      return {evenly(0, wide ? 32 : 150.0 / 331 * static_cast<double>(width)), true};
    case PixelOp::translate_y:
      return {evenly(0, wide ? 32 : 150.0 / 331 * static_cast<double>(height)), true};
    case PixelOp::rotate: return {evenly(0, wide ? 135 : 30), true};
    case PixelOp::brightness:
    case PixelOp::color:
    case PixelOp::contrast:
    case PixelOp::sharpness: return {evenly(0, wide ? 0.99 : 0.9), true};
    case PixelOp::posterize: return {fewer_bits(wide ? 6 : 4), false};
    case PixelOp::solarize: return {evenly(255, 0), false};
    default: return {{0}, false};
  }
}

std::vector<DrawnOp> draw_ops(OpPolicy policy, int64_t width, int64_t height,
                              CountedRandom& random) {
  std::vector<DrawnOp> drawn;
  if (policy == OpPolicy::none) return drawn;
  for (int i = 0; i < (policy == OpPolicy::rand ? kRandOps : 1); ++i) {
    const auto op = static_cast<PixelOp>(random.below(kPixelOps));
    const OpStrengths strengths = op_strengths(policy, op, width, height);
    const size_t count = strengths.magnitudes.size();
    const size_t at = count == 1                 ? 0
                      : policy == OpPolicy::rand ? kRandStrength
                                                 : static_cast<size_t>(random.below(count));
    double magnitude = strengths.magnitudes[at];
    if (strengths.is_signed && random.uniform() < 0.5) magnitude = -magnitude;
    drawn.push_back({op, magnitude});
  }
  return drawn;
}

std::optional<ErasedBox> draw_erased(double probability, int64_t width, int64_t height,
                                     CountedRandom& random) {
  if (probability <= 0 || random.uniform() >= probability) return std::nullopt;
  const double area = static_cast<double>(width) * static_cast<double>(height);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double share = area * random.uniform(0.02, 0.33);
    const double ratio = std::exp(random.uniform(std::log(0.3), std::log(3.3)));
    const auto h = static_cast<int64_t>(std::round(std::sqrt(share * ratio))),
               w = static_cast<int64_t>(std::round(std::sqrt(share / ratio)));
    if (h >= height || w >= width || h < 1 || w < 1) continue;
    const auto top = static_cast<int64_t>(random.below(static_cast<uint64_t>(height - h + 1)));
    const auto left = static_cast<int64_t>(random.below(static_cast<uint64_t>(width - w + 1)));
    return ErasedBox{left, top, w, h};
  }
  return std::nullopt;
}

void erase(Image& image, const ErasedBox& box, const std::array<uint8_t, 3>& color) {
  uint8_t* p = image.pixels.mutable_data<uint8_t>();
  for (int64_t y = box.top; y < box.top + box.height; ++y)
    for (int64_t x = box.left; x < box.left + box.width; ++x)
      std::copy_n(color.data(), image.channels, p + (y * image.width + x) * image.channels);
}

}  // namespace graft::io
