#include "graft/models/preprocess_guess.h"

#include <algorithm>
#include <cmath>

namespace graft::models {

double input_variance(const Tensor& weight, const Tensor& variance) {
  if (!weight.defined() || !variance.defined() || weight.rank() != 4 ||
      variance.shape() != Shape{weight.size(0)})
    return 0;
  const std::vector<double> w = weight.to_doubles(), v = variance.to_doubles();
  const size_t each = w.size() / v.size();
  std::vector<double> ratios;
  for (size_t k = 0; k < v.size(); ++k) {
    double squares = 0;
    for (size_t i = 0; i < each; ++i) squares += w[k * each + i] * w[k * each + i];
    if (squares > 0) ratios.push_back(v[k] / squares);
  }
  if (ratios.empty()) return 0;
  std::nth_element(ratios.begin(), ratios.begin() + std::ssize(ratios) / 2, ratios.end());
  return ratios[ratios.size() / 2];
}

io::Preprocess usual_geometry(std::array<int64_t, 2> sides) {
  io::Preprocess p = io::imagenet_preprocess(std::min(sides[0], sides[1]));
  if (sides[0] == sides[1]) return p;
  p.size = sides[0];
  p.width = sides[1];
  p.set_fit("squash");
  return p;
}

io::Preprocess guess_imagenet_preprocess(double variance, Finding& finding,
                                         std::array<int64_t, 2> sides) {
  constexpr double kRawPixels = 300;
  io::Preprocess p = usual_geometry(sides);
  if (variance < kRawPixels) {
    finding = {str("RGB / 255, ImageNet's mean and deviation, ", p.sides()), false,
               "the usual one of ImageNet's networks; the file says nothing"};
    return p;
  }
  p.bgr = true;
  p.scale = 1;
  p.mean = {103.06, 115.90, 123.15};
  p.deviation = {1, 1, 1};
  finding = {str("BGR, 0 to 255, minus (103.06, 115.90, 123.15), ", p.sides()), false,
             str("bn1's running variance is ", std::llround(variance),
                 " times that of inputs of deviation 1: the network learned on raw pixels, as "
                 "MSRA's and Caffe's did")};
  return p;
}

std::string text_of(const io::Preprocess& p) {
  const auto list = [](const std::vector<double>& values) {
    std::vector<std::string> texts;
    for (const double v : values) texts.push_back(str(std::round(v * 1e6) / 1e6));
    return str("(", join(texts), ")");
  };
  return str(p.channels == 1 ? "grey"
             : p.bgr         ? "BGR"
                             : "RGB",
             " x ", std::round(p.scale * 1e6) / 1e6, ", minus ", list(p.mean), ", over ",
             list(p.deviation), ", ", p.sides());
}

io::Preprocess grey_preprocess(io::Preprocess p) {
  const auto mean_of = [](const std::vector<double>& v) {
    double sum = 0;
    for (const double x : v) sum += x;
    return std::vector<double>{sum / static_cast<double>(v.size())};
  };
  p.channels = 1;
  p.bgr = false;
  p.mean = mean_of(p.mean);
  p.deviation = mean_of(p.deviation);
  return p;
}

}  // namespace graft::models
