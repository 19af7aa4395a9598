#include "graft/io/preprocess.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "graft/io/json.h"
#include "graft/io/normaliser.h"

namespace graft::io {

void Preprocess::validate() const {
  GRAFT_CHECK(size >= 1 && size <= 8192, "preprocessing: an image size of ", size);
  GRAFT_CHECK(width >= 0 && width <= 8192, "preprocessing: an image width of ", width);
  GRAFT_CHECK(resize_to == 0 || (resize_to >= 1 && resize_to <= 16384), "preprocessing: resize to ",
              resize_to);
  GRAFT_CHECK(!pad || resize_to == 0, "preprocessing: padding and a crop exclude each other");
  GRAFT_CHECK(!own_scale || (resize_to == 0 && !pad),
              "preprocessing: windows at an image's own scale exclude a crop and padding");
  GRAFT_CHECK(channels == 1 || channels == 3, "preprocessing: ", channels,
              " channels; 1 and 3 are possible");
  GRAFT_CHECK(std::ssize(mean) == channels && std::ssize(deviation) == channels,
              "preprocessing: ", mean.size(), " means and ", deviation.size(), " deviations for ",
              channels, " channels");
  for (const double d : deviation)
    GRAFT_CHECK(d > 0 && std::isfinite(d), "preprocessing: a deviation of ", d);
  for (const double m : mean) GRAFT_CHECK(std::isfinite(m), "preprocessing: a mean of ", m);
  GRAFT_CHECK(window == GreyWindow{} ||
                  (std::abs(window.centre) < 1e30 && window.width > 1e-30 && window.width < 1e30),
              "preprocessing: a window of centre ", window.centre, " and width ", window.width);
  GRAFT_CHECK(scale > 0 && std::isfinite(scale), "preprocessing: a scale of ", scale);
}

namespace {

// a / b > c / d, of positive numbers.
bool is_wider(int64_t a, int64_t b, int64_t c, int64_t d) { return a * d > c * b; }

}  // namespace

// As torchvision's Resize(short side) and CenterCrop: the long side is truncated, the crop's offset
// rounded half to even. Where the input's sides differ the image covers (pad: fits into) a box of
// their proportions.
ResizedWindow kept_window(const Preprocess& p, int64_t width, int64_t height) {
  const int64_t rows = p.size, columns = p.input_width();
  if (p.pad) {
    const bool by_width = is_wider(width, height, columns, rows);
    const int64_t to = by_width ? columns : rows, of = by_width ? width : height;
    const auto side = [&](int64_t extent) {
      return std::max<int64_t>(1, (2 * to * extent + of) / (2 * of));
    };
    const int64_t full_width = side(width), full_height = side(height);
    return {full_width, full_height, -((columns - full_width) / 2), -((rows - full_height) / 2),
            columns,    rows};
  }
  if (p.own_scale) {
    const auto middle = [](int64_t extent, int64_t kept) {
      return extent >= kept ? (extent - kept) / 2 : -((kept - extent) / 2);
    };
    return {width, height, middle(width, columns), middle(height, rows), columns, rows};
  }
  if (p.resize_to == 0) return {columns, rows, 0, 0, columns, rows};
  // The box that the image covers: the input's sides, times resize_to over the shorter one.
  const int64_t box_width = p.resize_to * columns / p.short_side(),
                box_height = p.resize_to * rows / p.short_side();
  const bool by_height = is_wider(width, height, columns, rows);
  const int64_t full_width = by_height ? box_height * width / height : box_width;
  const int64_t full_height = by_height ? box_height : box_width * height / width;
  const auto offset = [](int64_t extent, int64_t kept) {
    return static_cast<int64_t>(std::nearbyint(static_cast<double>(extent - kept) / 2.0));
  };
  return {full_width, full_height, offset(full_width, columns), offset(full_height, rows),
          columns,    rows};
}

ResizedWindow random_window(const Preprocess& p, int64_t width, int64_t height,
                            CountedRandom& random) {
  ResizedWindow window = kept_window(p, width, height);
  if (width > window.width)
    window.x0 = static_cast<int64_t>(random.below(static_cast<uint64_t>(width - window.width) + 1));
  if (height > window.height)
    window.y0 =
        static_cast<int64_t>(random.below(static_cast<uint64_t>(height - window.height) + 1));
  return window;
}

Image Preprocess::geometry(const Image& image) const {
  validate();
  const Image source = with_channels(image, channels);
  if (resize_to == 0 && !pad && !own_scale)
    return resize(source, input_width(), size, interpolation);
  return resize_window(source, kept_window(*this, source.width, source.height), interpolation);
}

Normaliser::Normaliser(const Preprocess& p)
    : height_(p.size), width_(p.input_width()), channels_(p.channels), from_{0, 1, 2} {
  if (p.bgr && p.channels == 3) from_ = {2, 1, 0};
  for (size_t c = 0; c < static_cast<size_t>(channels_); ++c)  // in double
    for (size_t v = 0; v < 256; ++v)
      table_[c][v] =
          static_cast<float>((static_cast<double>(v) * p.scale - p.mean[c]) / p.deviation[c]);
}

void Normaliser::operator()(const uint8_t* pixels, bool mirrored, float* out) const {
  const int64_t step = mirrored ? -channels_ : channels_;
  for (int64_t y = 0; y < height_; ++y) {
    const uint8_t* in = pixels + (y * width_ + (mirrored ? width_ - 1 : 0)) * channels_;
    for (int64_t x = 0; x < width_; ++x, in += step, out += channels_) {
      out[0] = table_[0][in[from_[0]]];
      if (channels_ == 1) continue;
      out[1] = table_[1][in[1]];
      out[2] = table_[2][in[from_[2]]];
    }
  }
}

void Preprocess::normalise_into(const Image& image, float* out) const {
  validate();
  check_image(image);
  GRAFT_CHECK(image.width == input_width() && image.height == size && image.channels == channels,
              "preprocessing: image of ", image.height, "x", image.width, "x", image.channels,
              ", expected ", sides(), "x", channels);
  Normaliser{*this}(image.pixels.data<uint8_t>(), false, out);
}

Tensor Preprocess::apply(const Image& image) const {
  Tensor batch = zeros(1);
  normalise_into(geometry(image), batch.mutable_data<float>());
  return batch.to(MemoryFormat::contiguous).reshape({channels, size, input_width()});
}

std::string Preprocess::to_json() const {
  nlohmann::json j = nlohmann::json::object();
  j["bgr"] = bgr;
  j["channels"] = channels;
  j["deviation"] = deviation;
  j["interpolation"] = interpolation == Interpolation::bilinear ? "bilinear" : "bicubic";
  j["mean"] = mean;
  if (!input.empty()) {
    j["input"] = input;
    if (!settings.empty()) j["settings"] = nlohmann::json::parse(settings);
  }
  if (own_scale) j["own_scale"] = true;
  if (pad) j["pad"] = true;  // a card of before says nothing
  j["resize_to"] = resize_to;
  j["scale"] = scale;
  j["size"] = size;
  if (width > 0) j["width"] = width;
  if (window.is_given()) j["window"] = {window.centre, window.width};
  return j.dump();
}

std::string Preprocess::fit() const {
  if (own_scale) return "window";
  return pad ? "pad" : resize_to > 0 ? "crop" : "squash";
}

void Preprocess::set_fit(const std::string& name) {
  GRAFT_CHECK(name == "crop" || name == "squash" || name == "pad" || name == "window",
              "unknown resize '", name, "': expected crop, squash, pad or window");
  if (name == fit()) return;
  resize_to = name == "crop" ? short_side() : 0;
  pad = name == "pad";
  own_scale = name == "window";
}

std::string Preprocess::sides() const { return str(size, "x", input_width()); }

Tensor Preprocess::zeros(int64_t images) const {
  return Tensor::zeros({images, channels, size, input_width()},
                       {.format = MemoryFormat::channels_last});
}

void Preprocess::set_size(int64_t new_height, int64_t new_width) {
  const int64_t before = short_side();
  size = new_height;
  width = new_width == new_height ? 0 : new_width;
  if (resize_to > 0) resize_to = resize_to * short_side() / before;
  validate();
}

std::array<int64_t, 2> image_sides(const std::string& text) {
  std::array<int64_t, 2> sides{};
  const char *at = text.data(), *end = at + text.size();
  auto read = std::from_chars(at, end, sides[0]);
  bool fits = read.ec == std::errc();
  sides[1] = sides[0];
  if (fits && read.ptr != end && *read.ptr == 'x') {
    read = std::from_chars(read.ptr + 1, end, sides[1]);
    fits = read.ec == std::errc();
  }
  GRAFT_CHECK(fits && read.ptr == end && sides[0] >= 1 && sides[1] >= 1 && sides[0] <= 8192 &&
                  sides[1] <= 8192,
              "'", text,
              "' is no size of images: expected a number from 1 to 8192, or HEIGHTxWIDTH");
  return sides;
}

Preprocess Preprocess::from_json(const std::string& text) {
  check_json(text, "the card's preprocessing");
  try {
    const auto j = nlohmann::json::parse(text);
    Preprocess p;
    p.bgr = j.at("bgr").get<bool>();
    p.channels = json_integer(j, "channels", "the card\'s preprocessing");
    p.deviation = j.at("deviation").get<std::vector<double>>();
    const auto name = j.at("interpolation").get<std::string>();
    GRAFT_CHECK(name == "bilinear" || name == "bicubic", "preprocessing: unknown interpolation '",
                name, "'");
    p.interpolation = name == "bilinear" ? Interpolation::bilinear : Interpolation::bicubic;
    p.mean = j.at("mean").get<std::vector<double>>();
    p.input = j.value("input", std::string());
    if (j.contains("settings")) p.settings = j.at("settings").dump();
    p.own_scale = j.value("own_scale", false);
    p.pad = j.value("pad", false);
    p.resize_to = json_integer(j, "resize_to", "the card\'s preprocessing");
    p.scale = j.at("scale").get<double>();
    p.size = json_integer(j, "size", "the card\'s preprocessing");
    if (j.contains("width")) p.width = json_integer(j, "width", "the card\'s preprocessing");
    if (j.contains("window")) {
      const auto window = j.at("window").get<std::vector<double>>();
      GRAFT_CHECK(window.size() == 2, "preprocessing: a window is [centre, width]");
      p.window = {window[0], window[1]};
    }
    p.validate();
    return p;
  } catch (const nlohmann::json::exception& error) {
    bad_input("the card's preprocessing cannot be read: ", error.what());
  }
}

Preprocess imagenet_preprocess(int64_t size) {
  Preprocess p;
  p.size = size;
  p.resize_to = (size * 256 + 112) / 224;
  return p;
}

}  // namespace graft::io
