// RandomOps: which changes of pixels a policy draws for an image, and which rectangle of it is
// erased, all numbers counted.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "graft/core/runtime/random.h"
#include "graft/io/pixel_ops.h"

namespace graft::io {

// trivial: one of PixelOp's, at one of 31 strengths (Müller and Hutter, "TrivialAugment", ICCV
// 2021; torchvision's TrivialAugmentWide). rand: two, each at strength 9 of 31 (Cubuk et al.,
// "RandAugment", 2020; torchvision's RandAugment). Those with two directions take either by chance.
enum class OpPolicy : unsigned char { none, trivial, rand };

struct DrawnOp {
  PixelOp op;
  double magnitude;  // apply()
};

// The strengths of an op in an image of these sides, weakest first; one alone where it has none;
// and whether its sign is drawn.
struct OpStrengths {
  std::vector<double> magnitudes{};
  bool is_signed = false;
};
inline constexpr int kOpStrengths = 31;
GRAFT_API OpStrengths op_strengths(OpPolicy policy, PixelOp op, int64_t width, int64_t height);

GRAFT_API std::vector<DrawnOp> draw_ops(OpPolicy policy, int64_t width, int64_t height,
                                        CountedRandom& random);

// Random erasing (Zhong et al., AAAI 2020) as torchvision's RandomErasing: with this probability a
// rectangle of 2 to 33 % of the area, height to width 0.3 to 3.3; ten tries.
struct ErasedBox {
  int64_t left = 0, top = 0, width = 0, height = 0;
};
GRAFT_API std::optional<ErasedBox> draw_erased(double probability, int64_t width, int64_t height,
                                               CountedRandom& random);
// Its pixels become `color`, a value of each channel.
GRAFT_API void erase(Image& image, const ErasedBox& box, const std::array<uint8_t, 3>& color);

}  // namespace graft::io
