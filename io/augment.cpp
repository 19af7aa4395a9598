#include "graft/io/augment.h"

#include <algorithm>
#include <cmath>

#include "graft/io/normaliser.h"

namespace graft::io {
namespace {

double luma(const uint8_t* pixel, int64_t channels) {
  return channels == 1 ? pixel[0] : 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
}

// Blends every pixel with `towards(pixel)` by a factor, as PIL's ImageEnhance does.
template <class Towards>
void blend(Image& image, double factor, Towards towards) {
  uint8_t* p = image.pixels.mutable_data<uint8_t>();
  const int64_t c = image.channels;
  for (int64_t i = 0; i < image.width * image.height; ++i, p += c) {
    const double target = towards(p);
    for (int64_t k = 0; k < c; ++k)
      p[k] = static_cast<uint8_t>(std::clamp(target + (p[k] - target) * factor + 0.5, 0.0, 255.0));
  }
}

}  // namespace

void mirror(Image& image) {
  uint8_t* p = image.pixels.mutable_data<uint8_t>();
  const int64_t c = image.channels;
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width / 2; ++x)
      std::swap_ranges(p + (y * image.width + x) * c, p + (y * image.width + x + 1) * c,
                       p + (y * image.width + image.width - 1 - x) * c);
}

Augment augment_for(const Preprocess& preprocess, Augment augment) {
  const double ratio =
      static_cast<double>(preprocess.input_width()) / static_cast<double>(preprocess.size);
  augment.ratio_low *= ratio;
  augment.ratio_high *= ratio;
  return augment;
}

ResizeBox random_box(int64_t width, int64_t height, const Augment& augment, CountedRandom& random) {
  const auto w = static_cast<double>(width), h = static_cast<double>(height);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double area = w * h * random.uniform(augment.scale_low, augment.scale_high);
    const double ratio =
        std::exp(random.uniform(std::log(augment.ratio_low), std::log(augment.ratio_high)));
    const double bw = std::round(std::sqrt(area * ratio)), bh = std::round(std::sqrt(area / ratio));
    if (bw < 1 || bh < 1 || bw > w || bh > h) continue;
    const auto left = static_cast<double>(random.below(static_cast<uint64_t>(w - bw) + 1));
    const auto top = static_cast<double>(random.below(static_cast<uint64_t>(h - bh) + 1));
    return {left, top, left + bw, top + bh};
  }
  const double ratio = std::clamp(w / h, augment.ratio_low, augment.ratio_high);
  const double bw = std::min(w, std::round(h * ratio)), bh = std::min(h, std::round(w / ratio));
  const double left = std::floor((w - bw) / 2), top = std::floor((h - bh) / 2);
  return {left, top, left + bw, top + bh};
}

void jitter(Image& image, const Augment& a, CountedRandom& random) {
  const double brightness = random.uniform(1 - a.brightness, 1 + a.brightness);
  const double contrast = random.uniform(1 - a.contrast, 1 + a.contrast);
  const double saturation = random.uniform(1 - a.saturation, 1 + a.saturation);
  if (a.brightness > 0) blend(image, brightness, [](const uint8_t*) { return 0.0; });
  if (a.contrast > 0) {
    double mean = 0;
    const uint8_t* p = image.pixels.data<uint8_t>();
    for (int64_t i = 0; i < image.width * image.height; ++i)
      mean += luma(p + i * image.channels, image.channels);
    mean = std::floor(mean / static_cast<double>(image.width * image.height) + 0.5);
    blend(image, contrast, [mean](const uint8_t*) { return mean; });
  }
  if (a.saturation > 0 && image.channels == 3)
    blend(image, saturation, [](const uint8_t* q) { return luma(q, 3); });
}

Augment augment_named(const std::string& name) {
  if (name == "none") return {};
  if (name == "light") return {.flip = true, .scale_low = 0.8};
  if (name == "strong")
    return {.flip = true, .scale_low = 0.4, .brightness = 0.2, .contrast = 0.2, .saturation = 0.2};
  bad_input("unknown augmentation '", name, "': expected none, light or strong");
}

void change(Image& image, const Preprocess& preprocess, const Augment& augment,
            CountedRandom& random) {
  for (const DrawnOp& drawn : draw_ops(augment.ops, image.width, image.height, random))
    apply(image, drawn.op, drawn.magnitude);
  const auto box = draw_erased(augment.erase, image.width, image.height, random);
  if (!box) return;
  std::array<uint8_t, 3> color{};  // of the pixels, RGB
  const std::vector<double>& mean = preprocess.mean;
  for (size_t c = 0; c < color.size(); ++c) {
    const size_t of = std::min(preprocess.bgr ? 2 - c : c, mean.size() - 1);
    color[c] = static_cast<uint8_t>(std::clamp(std::lround(mean[of] / preprocess.scale), 0L, 255L));
  }
  erase(image, *box, color);
}

Image augmented(const Image& image, const Preprocess& preprocess, const Augment& augment,
                CountedRandom& random) {
  Image result;
  if (preprocess.own_scale) {
    const Image source = with_channels(image, preprocess.channels);
    result = resize_window(source, random_window(preprocess, source.width, source.height, random),
                           preprocess.interpolation);
  } else if (augment.crops()) {
    Image source = with_channels(image, preprocess.channels);
    if (preprocess.pad) source = padded_to(source, preprocess.input_width(), preprocess.size);
    result =
        resize(source, preprocess.input_width(), preprocess.size,
               random_box(source.width, source.height, augment_for(preprocess, augment), random),
               preprocess.interpolation);
  } else {
    result = preprocess.geometry(image);
    if (result.pixels.is_same(image.pixels))
      result.pixels = result.pixels.clone();  // the caller's pixels stay as they are
  }
  if (augment.flip && random.uniform() < 0.5) mirror(result);
  if (augment.jitters()) jitter(result, augment, random);
  if (augment.changes()) change(result, preprocess, augment, random);
  return result;
}

}  // namespace graft::io
