#include "graft/api/image_source.h"

#include "graft/core/base/error.h"
#include "graft/io/datasets/file_dataset.h"

namespace graft {
namespace {

class SourceImages final : public io::Dataset {
 public:
  explicit SourceImages(std::span<const ImageSource> sources) : sources_(sources) {
    std::vector<io::LabelledFile> files;
    for (const ImageSource& source : sources) {
      const auto* path = std::get_if<std::string>(&source);
      files.push_back(path ? io::LabelledFile{*path, *path} : io::LabelledFile{});
    }
    files_ = io::file_dataset(std::move(files));
  }
  int64_t size() const override { return std::ssize(sources_); }
  int64_t label(int64_t) const override { return 0; }
  std::string name(int64_t i) const override {
    const ImageSource& source = at(i);
    if (const auto* path = std::get_if<std::string>(&source)) return *path;
    if (const auto* named = std::get_if<NamedBytes>(&source)) return named->name();
    const std::string what =
        std::holds_alternative<std::span<const std::byte>>(source) ? "image in memory" : "pixels";
    return sources_.size() == 1 ? what : str(what, " (image ", i, ")");
  }
  io::Image image(int64_t i) const override {
    const ImageSource& source = at(i);
    if (const auto* image = std::get_if<io::Image>(&source)) return *image;
    if (const auto* pixels = std::get_if<Pixels>(&source)) return image_of(*pixels, name(i));
    std::vector<std::byte> bytes;
    encoded(i, bytes);
    return io::decode_image(bytes, name(i));
  }
  bool encoded(int64_t i, std::vector<std::byte>& bytes) const override {
    const ImageSource& source = at(i);
    if (std::holds_alternative<std::string>(source)) return files_->encoded(i, bytes);
    const auto* plain = std::get_if<std::span<const std::byte>>(&source);
    const auto* named = std::get_if<NamedBytes>(&source);
    if (!plain && !named) return false;
    const std::span<const std::byte> from = plain ? *plain : named->bytes();
    bytes.assign(from.begin(), from.end());
    return true;
  }
  std::string fingerprint() const override { return ""; }

 private:
  const ImageSource& at(int64_t i) const {
    check_index(i);
    return sources_[static_cast<size_t>(i)];
  }
  std::span<const ImageSource> sources_;
  std::shared_ptr<const io::Dataset> files_;
};

}  // namespace

std::shared_ptr<const io::Dataset> dataset_of(std::span<const ImageSource> sources) {
  return std::make_shared<SourceImages>(sources);
}

}  // namespace graft
