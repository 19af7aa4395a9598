#include "graft/io/datasets/windows.h"

#include <algorithm>
#include <cstring>

#include "graft/core/base/error.h"
#include "graft/core/base/sha256.h"

namespace graft::io {
namespace {

class Windows final : public Dataset {
 public:
  Windows(std::shared_ptr<const Dataset> whole, int64_t height, int64_t width)
      : whole_(std::move(whole)), height_(height), width_(width) {
    for (int64_t image = 0; image < whole_->size(); ++image) {
      const MapFacts facts = whole_->map_facts(image);
      GRAFT_CHECK(facts.width > 0, whole_->name(image),
                  ": has no mask; windows at an image's own scale are for images with masks");
      const int64_t count =
          window_axis(facts.width, width).count() * window_axis(facts.height, height).count();
      for (int64_t number = 0; number < count; ++number) places_.push_back({image, number});
    }
  }
  int64_t size() const override { return std::ssize(places_); }
  int64_t whole(int64_t i) const override { return whole_->whole(place(i).image); }
  int64_t label(int64_t i) const override { return whole_->label(place(i).image); }
  std::vector<int64_t> labels(int64_t i) const override { return whole_->labels(place(i).image); }
  Image image(int64_t i) const override {
    const Window w = window(i);
    return window_of(whole_->image(place(i).image), w.left, w.top, width_, height_, 0);
  }
  Image map(int64_t i) const override {
    const Window w = window(i);
    Image map =
        window_of(whole_->map(place(i).image), w.left, w.top, width_, height_, kIgnoredPixel);
    uint8_t* pixel = map.pixels.mutable_data<uint8_t>();
    for (int64_t y = w.top; y < w.top + height_; ++y)
      for (int64_t x = w.left; x < w.left + width_; ++x, ++pixel)
        if (x < w.own_left || x >= w.own_right || y < w.own_top || y >= w.own_bottom)
          *pixel = kIgnoredPixel;
    return map;
  }
  MapFacts map_facts(int64_t i) const override {
    const Image own = map(i);
    MapFacts facts{width_, height_, {}};
    const uint8_t* pixel = own.pixels.data<uint8_t>();
    for (int64_t p = 0; p < own.pixels.numel(); ++p) {
      if (pixel[p] == kIgnoredPixel) continue;
      if (facts.pixels.size() <= pixel[p]) facts.pixels.resize(size_t{pixel[p]} + 1);
      ++facts.pixels[pixel[p]];
    }
    return facts;
  }
  std::string name(int64_t i) const override { return whole_->name(place(i).image); }
  bool is_changed(int64_t i) const override { return whole_->is_changed(place(i).image); }
  std::string fingerprint() const override {
    Sha256 hash;
    hash.update(str(whole_->fingerprint(), " windows of ", height_, "x", width_));
    return hash.hex();
  }

 private:
  struct Place {
    int64_t image, number;
  };
  struct Window {
    int64_t left, top, own_left, own_right, own_top, own_bottom;
  };
  const Place& place(int64_t i) const {
    check_index(i);
    return places_[static_cast<size_t>(i)];
  }
  Window window(int64_t i) const {
    const Place& at = place(i);
    const MapFacts facts = whole_->map_facts(at.image);
    const WindowAxis x = window_axis(facts.width, width_), y = window_axis(facts.height, height_);
    const auto column = static_cast<size_t>(at.number % x.count()),
               row = static_cast<size_t>(at.number / x.count());
    return {x.begins[column],   y.begins[row], x.owns[column],
            x.owns[column + 1], y.owns[row],   y.owns[row + 1]};
  }

  std::shared_ptr<const Dataset> whole_;
  int64_t height_, width_;
  std::vector<Place> places_;
};

}  // namespace

WindowAxis window_axis(int64_t extent, int64_t size) {
  GRAFT_CHECK(extent >= 1 && size >= 1, "windows of ", size, " over ", extent, " pixels");
  WindowAxis axis{size, {}, {0}};
  if (extent <= size) {
    axis.begins.push_back(-((size - extent) / 2));
    axis.owns.push_back(extent);
    return axis;
  }
  const int64_t step = std::max<int64_t>(size - size / 4, 1),
                gaps = (extent - size + step - 1) / step;
  for (int64_t i = 0; i <= gaps; ++i) axis.begins.push_back(i * (extent - size) / gaps);
  for (size_t i = 0; i + 1 < axis.begins.size(); ++i)
    axis.owns.push_back((axis.begins[i] + size + axis.begins[i + 1]) / 2);
  axis.owns.push_back(extent);
  return axis;
}

Image window_of(const Image& image, int64_t left, int64_t top, int64_t width, int64_t height,
                uint8_t beyond) {
  Image result{width, height, image.channels,
               Tensor::full({height, width, image.channels}, beyond, {.dtype = DType::u8})};
  const int64_t first = std::max<int64_t>(left, 0), last = std::min(left + width, image.width);
  if (first >= last) return result;
  const uint8_t* in = image.pixels.data<uint8_t>();
  uint8_t* out = result.pixels.mutable_data<uint8_t>();
  for (int64_t y = std::max<int64_t>(top, 0); y < std::min(top + height, image.height); ++y)
    std::memcpy(out + ((y - top) * width + first - left) * image.channels,
                in + (y * image.width + first) * image.channels,
                static_cast<size_t>((last - first) * image.channels));
  return result;
}

std::shared_ptr<const Dataset> windows_of(std::shared_ptr<const Dataset> dataset, int64_t height,
                                          int64_t width) {
  return std::make_shared<Windows>(std::move(dataset), height, width);
}

}  // namespace graft::io
