#include "graft/api/window_answers.h"

#include <algorithm>
#include <vector>

#include "graft/io/datasets/windows.h"

namespace graft {
namespace {

constexpr int64_t kWindowsAtOnce = 16;

struct Corner {
  int64_t left, top;
};

// Sums of what windows say, and of what they count.
class Blend {
 public:
  Blend(int64_t width, int64_t height) : width_(width), height_(height) {}

  // answer: [maps,h,w] of one window.
  void add(const float* answer, int64_t maps, int64_t h, int64_t w, const Corner& corner) {
    const auto pixels = static_cast<size_t>(width_ * height_);
    sums_.resize(static_cast<size_t>(maps) * pixels);
    weights_.resize(pixels);
    const auto from_edge = [](int64_t i, int64_t size) {
      return static_cast<double>(std::min(i + 1, size - i));
    };
    for (int64_t y = 0; y < h; ++y)
      for (int64_t x = 0; x < w; ++x) {
        const int64_t column = corner.left + x, row = corner.top + y;
        if (column < 0 || row < 0 || column >= width_ || row >= height_) continue;
        const double weight = from_edge(x, w) * from_edge(y, h);
        const auto at = static_cast<size_t>(row * width_ + column);
        weights_[at] += weight;
        for (int64_t map = 0; map < maps; ++map)
          sums_[static_cast<size_t>(map) * pixels + at] +=
              weight * static_cast<double>(answer[(map * h + y) * w + x]);
      }
  }

  Tensor means() const {
    std::vector<float> means;
    for (size_t i = 0; i < sums_.size(); ++i)
      means.push_back(static_cast<float>(sums_[i] / weights_[i % weights_.size()]));
    const auto maps = static_cast<int64_t>(sums_.size() / weights_.size());
    return Tensor::of<float>({1, maps, height_, width_}, means);
  }

 private:
  int64_t width_, height_;
  std::vector<double> sums_, weights_;
};

}  // namespace

Tensor answers_in_windows(const io::Image& photo, const io::Preprocess& p,
                          const std::function<Tensor(const Tensor&)>& answers) {
  const io::Image source = io::with_channels(photo, p.channels);
  const int64_t h = p.size, w = p.input_width();
  std::vector<Corner> corners;
  for (const int64_t top : io::window_axis(photo.height, h).begins)
    for (const int64_t left : io::window_axis(photo.width, w).begins)
      corners.push_back({left, top});
  Blend blend(photo.width, photo.height);
  for (size_t first = 0; first < corners.size(); first += kWindowsAtOnce) {
    const size_t count = std::min<size_t>(kWindowsAtOnce, corners.size() - first);
    Tensor x = p.zeros(static_cast<int64_t>(count));
    float* to = x.mutable_data<float>();
    for (size_t i = 0; i < count; ++i, to += p.channels * p.pixels())
      p.normalise_into(
          io::window_of(source, corners[first + i].left, corners[first + i].top, w, h, 0), to);
    const Tensor said = answers(x);
    const int64_t maps = said.size(1);
    for (size_t i = 0; i < count; ++i)
      blend.add(said.data<float>() + static_cast<int64_t>(i) * maps * h * w, maps, h, w,
                corners[first + i]);
  }
  return blend.means();
}

}  // namespace graft
