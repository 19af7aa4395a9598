#include "graft/models/segmentation/decoder.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "graft/core/runtime/random.h"
#include "graft/layers/functional/image.h"
#include "graft/models/initialization.h"
#include "graft/models/segmentation/segmentation.h"

namespace graft::models {
namespace {

std::vector<EncoderMap> all_taps(const std::vector<EncoderMap>& taps) { return taps; }
std::vector<EncoderMap> last_tap(const std::vector<EncoderMap>& taps) { return {taps.back()}; }

// From stride 4 on, as pyramids have them; an encoder that ends before: all.
std::vector<EncoderMap> pyramid_taps(const std::vector<EncoderMap>& taps) {
  if (taps.back().stride < 4) return taps;
  std::vector<EncoderMap> kept;
  for (const EncoderMap& tap : taps)
    if (tap.stride >= 4) kept.push_back(tap);
  return kept;
}

// Behind the doubling to strides 16, 8, 4, 2 and 1; narrow, for on a CPU the large maps cost most.
std::vector<int64_t> unet_widths(const std::vector<EncoderMap>& taps) {
  std::vector<int64_t> widths;
  for (int64_t stride = taps.back().stride / 2; stride >= 1; stride /= 2)
    widths.push_back(stride >= 16  ? 128
                     : stride >= 8 ? 64
                     : stride >= 4 ? 48
                     : stride >= 2 ? 32
                                   : 16);
  return widths;
}
std::vector<int64_t> fpn_widths(const std::vector<EncoderMap>&) { return {128, 64}; }
std::vector<int64_t> fcn_widths(const std::vector<EncoderMap>& taps) {
  return {std::max<int64_t>(1, taps.back().channels / 4)};
}
// Objects are looked for at stride 8; the taps before it are of no use where there are later ones.
std::vector<EncoderMap> taps_from_8(const std::vector<EncoderMap>& taps) {
  if (taps.back().stride < 8) return {taps.back()};
  std::vector<EncoderMap> kept;
  for (const EncoderMap& tap : taps)
    if (tap.stride >= 8) kept.push_back(tap);
  GRAFT_CHECK(kept.front().stride == 8,
              "an FCOS decoder wants a map at stride 8; the network has one at ",
              kept.front().stride, " and none before it");
  return kept;
}
std::vector<int64_t> fcos_widths(const std::vector<EncoderMap>&) { return {64}; }
std::vector<int64_t> sequence_widths(const std::vector<EncoderMap>&) { return {128}; }
std::vector<int64_t> deeplab_widths(const std::vector<EncoderMap>&) { return {256}; }

constexpr DecoderKind kDecoders[] = {
    {"unet", true, 0, all_taps, unet_widths, make_unet},
    {"fpn", true, 0, pyramid_taps, fpn_widths, make_fpn},
    {"deeplabv3", true, 8, last_tap, deeplab_widths, make_deeplabv3},
    {"fcn", true, 0, last_tap, fcn_widths, make_fcn},
    {"fcos", false, 0, taps_from_8, fcos_widths, make_fcos},
    {"sequence", false, 0, pyramid_taps, sequence_widths, make_sequence},
};

}  // namespace

std::vector<std::string> decoder_names() {
  std::vector<std::string> names;
  for (const DecoderKind& kind : kDecoders)
    if (kind.is_of_pixels) names.emplace_back(kind.name);
  return names;
}

const DecoderKind& decoder_kind(const std::string& name) {
  for (const DecoderKind& kind : kDecoders)
    if (name == kind.name) return kind;
  bad_input("unknown decoder '", name, "': expected one of ", join(decoder_names()));
}

void start_last(Conv2d& last, std::span<const float> given, uint64_t seed) {
  Tensor weight = last.weight(), bias = last.bias();
  // As a linear layer on each pixel: He's start would make logits of the order of the width.
  const auto inputs = static_cast<double>(weight.size(1) * weight.size(2) * weight.size(3));
  const double bound = 1 / std::sqrt(inputs);
  CountedRandom stream(seed, RandomPurpose::initialization, 0, 0);
  fill_uniform(weight, -bound, bound, stream);
  if (!given.empty())
    bias.copy_from(Tensor::of({std::ssize(given)}, std::vector<float>(given.begin(), given.end())));
}

void Decoder::start(std::span<const float> bias, uint64_t seed) { start_last(last(), bias, seed); }

ConvNormRelu::ConvNormRelu(int64_t in, int64_t out) {
  conv_ = register_module("conv", std::make_shared<Conv2d>(Conv2dOptions{in, out, 3, 1, 1}));
  norm_ = register_module("bn", std::make_shared<BatchNorm2d>(BatchNorm2dOptions{out}));
}

Tensor ConvNormRelu::forward(const Tensor& x) { return norm_->normalise(*conv_, x, true); }

Tensor enlarged(const Tensor& x, int64_t times) {
  if (times == 1) return x;
  const std::array<int64_t, 2> extents{x.size(2) * times, x.size(3) * times};
  return functional::interpolate(x, extents, functional::ResizeMode::linear);
}

}  // namespace graft::models
