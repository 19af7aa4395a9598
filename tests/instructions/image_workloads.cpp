// A photograph-like JPEG, made here, decoded and loaded as batches.
#include <cstdio>
// needs <cstdio>
#include <jpeglib.h>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <span>

#include "graft/core/base/error.h"
#include "graft/tests/instructions/workload.h"
#include "graft/train/loader.h"

namespace graft::instructions {
namespace {

constexpr int64_t kWidth = 250, kHeight = 190;

std::vector<std::byte> made_jpeg(int64_t picture) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_width = kWidth, jpeg.image_height = kHeight;
  jpeg.input_components = 3, jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 90, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  std::vector<unsigned char> row(static_cast<size_t>(kWidth * 3));
  for (int64_t y = 0; y < kHeight; ++y) {
    for (size_t i = 0; i < row.size(); ++i) {
      const auto x = static_cast<int64_t>(i) / 3, wave = (x * x + 3 * y * y + 40 * picture) / 97;
      row[i] = static_cast<unsigned char>(96 + wave % 64 + (x * 7 + y * 13 + int64_t(i)) % 23);
    }
    unsigned char* rows[] = {row.data()};
    jpeg_write_scanlines(&jpeg, rows, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  const auto made = std::as_bytes(std::span(bytes, size));
  std::vector<std::byte> result(made.begin(), made.end());
  std::free(bytes);
  return result;
}

class MadePhotos final : public io::Dataset {
 public:
  explicit MadePhotos(int64_t count) {
    for (int64_t i = 0; i < count; ++i) files_.push_back(made_jpeg(i));
  }
  int64_t size() const override { return static_cast<int64_t>(files_.size()); }
  int64_t label(int64_t index) const override { return index % 2; }
  std::string name(int64_t index) const override { return "photo " + std::to_string(index); }
  std::string fingerprint() const override { return "made photos"; }
  io::Image image(int64_t index) const override {
    return io::decode_image(files_[static_cast<size_t>(index)], name(index));
  }
  bool encoded(int64_t index, std::vector<std::byte>& bytes) const override {
    bytes = files_[static_cast<size_t>(index)];
    return true;
  }

 private:
  std::vector<std::vector<std::byte>> files_;
};

std::function<void()> decoding() {
  const auto photos = std::make_shared<MadePhotos>(4);
  return [photos] {
    for (int64_t i = 0; i < photos->size(); ++i)
      GRAFT_CHECK(photos->image(i).width == kWidth, "not the image that was made");
  };
}

// One epoch of two batches, prepared on the calling thread, with augmentation.
std::function<void()> loading() {
  const auto loader = std::make_shared<train::BatchLoader>(
      std::make_shared<MadePhotos>(8), io::imagenet_preprocess(128),
      train::LoaderOptions{
          .batch = 4, .shuffle = true, .augment = io::augment_named("light"), .cache_bytes = 0});
  return [loader] {
    loader->start(0);
    train::Batch batch;
    while (loader->next(batch)) {
    }
  };
}

}  // namespace

std::vector<NamedWorkload> image_workloads() {
  return {{"jpeg_decode", decoding}, {"loader", loading}};
}

}  // namespace graft::instructions
