// A data set whose pixels are in memory.
#include <cstring>

#include "graft/core/base/sha256.h"
#include "graft/io/datasets/sources.h"

namespace graft::io {
namespace {

class PixelDataset final : public Dataset {
 public:
  PixelDataset(std::string file, Tensor pixels, std::vector<int64_t> labels)
      : file_(std::move(file)), pixels_(std::move(pixels)), labels_(std::move(labels)) {}

  int64_t size() const override { return pixels_.shape()[0]; }
  int64_t label(int64_t index) const override {
    check_index(index);
    return labels_[static_cast<size_t>(index)];
  }
  std::string name(int64_t index) const override { return str(file_, "[", index, "]"); }

  Image image(int64_t index) const override {
    check_index(index);
    const Shape& s = pixels_.shape();
    Image image{s[2], s[1], s[3], Tensor::empty({s[1], s[2], s[3]}, {.dtype = DType::u8})};
    const int64_t bytes = s[1] * s[2] * s[3];
    std::memcpy(image.pixels.mutable_data<uint8_t>(), pixels_.data<uint8_t>() + index * bytes,
                static_cast<size_t>(bytes));
    return image;
  }

  int64_t bytes_held() const override {
    return pixels_.bytes() + std::ssize(labels_) * int64_t{sizeof(int64_t)};
  }

  ImageHeader header(int64_t) const override {
    const Shape& s = pixels_.shape();
    return {s[2], s[1], s[3], s[1] * s[2] * s[3]};
  }

  std::string fingerprint() const override {
    Sha256 hash;
    hash.update(std::as_bytes(pixels_.elements<uint8_t>()));
    hash.update(std::as_bytes(std::span(labels_)));
    return hash.hex();
  }

 private:
  std::string file_;
  Tensor pixels_;  // u8 [N,H,W,C]
  std::vector<int64_t> labels_;
};

}  // namespace

std::shared_ptr<const Dataset> pixel_dataset(std::string file, Tensor pixels,
                                             std::vector<int64_t> labels) {
  const Shape& s = pixels.shape();
  GRAFT_CHECK(s.rank() == 4 && (s[3] == 1 || s[3] == 3) && s[1] >= 1 && s[2] >= 1 &&
                  s[1] <= image_pixel_limit() / s[2],
              file, ": images of shape ", s, "; [N,H,W,1] or [N,H,W,3] are possible");
  GRAFT_CHECK(std::ssize(labels) == s[0], file, ": ", s[0], " images but ", labels.size(),
              " labels");
  return std::make_shared<PixelDataset>(std::move(file), std::move(pixels), std::move(labels));
}

}  // namespace graft::io
