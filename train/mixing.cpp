#include "graft/train/mixing.h"

#include <algorithm>
#include <cmath>

namespace graft::train {
namespace {

// Of Gamma(a, 1), its logarithm: at a = 0.1 many numbers are too small for a double.
double log_gamma_number(double a, CountedRandom& random) {
  const double d = (a < 1 ? a + 1 : a) - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  double v = 0, normal = 0;
  do {
    do {
      normal = random.normal();
      v = 1 + c * normal;
    } while (v <= 0);
    v = v * v * v;
  } while (std::log(1 - random.uniform()) >= 0.5 * normal * normal + d - d * v + d * std::log(v));
  const double log_number = std::log(d * v);
  return a < 1 ? log_number + std::log(1 - random.uniform()) / a : log_number;
}

// Sample i of the batch beside the one before it.
template <class F>
Tensor of_pairs(const Tensor& x, F&& f) {
  GRAFT_CHECK(x.rank() == 4 && x.dtype() == DType::f32 && is_cpu(x.device()),
              "mixing: is for f32 images [N,C,H,W] on the host, not ", name_of(x.dtype()), " ",
              x.shape());
  Tensor mixed = Tensor::empty_like(x);
  const int64_t count = x.size(0), elements = x.numel() / count;
  const float* from = x.data<float>();
  float* to = mixed.mutable_data<float>();
  for (int64_t i = 0; i < count; ++i)
    f(from + i * elements, from + (i + count - 1) % count * elements, to + i * elements, elements);
  return mixed;
}

}  // namespace

double symmetric_beta(double a, CountedRandom& random) {
  const double x = log_gamma_number(a, random), y = log_gamma_number(a, random);
  return 1 / (1 + std::exp(y - x));
}

Tensor mixed_images(const Tensor& x, double share) {
  const float own = static_cast<float>(share), rest = static_cast<float>(1 - share);
  return of_pairs(x, [&](const float* a, const float* b, float* out, int64_t elements) {
    for (int64_t k = 0; k < elements; ++k) out[k] = own * a[k] + rest * b[k];
  });
}

CutBox cut_box(int64_t height, int64_t width, double share, int64_t center_y, int64_t center_x) {
  const double half = 0.5 * std::sqrt(1 - share);
  const auto across = static_cast<int64_t>(half * static_cast<double>(width)),
             down = static_cast<int64_t>(half * static_cast<double>(height));
  return {std::max<int64_t>(center_y - down, 0), std::min(center_y + down, height),
          std::max<int64_t>(center_x - across, 0), std::min(center_x + across, width)};
}

Tensor pasted_images(const Tensor& x, const CutBox& box) {
  const int64_t channels = x.size(1), height = x.size(2), width = x.size(3);
  const bool last = x.format() == MemoryFormat::channels_last;
  const int64_t planes = last ? 1 : channels, pixel = last ? channels : 1;
  return of_pairs(x, [&](const float* a, const float* b, float* out, int64_t elements) {
    std::copy_n(a, elements, out);
    for (int64_t plane = 0; plane < planes; ++plane)
      for (int64_t y = box.top; y < box.bottom; ++y) {
        const int64_t at = ((plane * height + y) * width + box.left) * pixel;
        std::copy_n(b + at, (box.right - box.left) * pixel, out + at);
      }
  });
}

void mix(Batch& batch, const Recipe& recipe, const Task& task, int64_t epoch, int64_t step) {
  if (!mixes(recipe)) return;
  CountedRandom random(recipe.seed, RandomPurpose::mixing, static_cast<uint64_t>(epoch),
                       static_cast<uint64_t>(step));
  const bool cuts = recipe.cutmix > 0 && (recipe.mixup <= 0 || random.uniform() < 0.5);
  double share = symmetric_beta(cuts ? recipe.cutmix : recipe.mixup, random);
  if (cuts) {
    const int64_t height = batch.x.size(2), width = batch.x.size(3);
    const auto center_y = static_cast<int64_t>(random.below(static_cast<uint64_t>(height))),
               center_x = static_cast<int64_t>(random.below(static_cast<uint64_t>(width)));
    const CutBox box = cut_box(height, width, share, center_y, center_x);
    const auto pasted = static_cast<double>((box.bottom - box.top) * (box.right - box.left));
    share = 1 - pasted / static_cast<double>(height * width);
    batch.x = pasted_images(batch.x, box);
  } else {
    batch.x = mixed_images(batch.x, share);
  }
  batch.targets = task.mixed(batch.targets, share);
}

}  // namespace graft::train
