#include "graft/io/datasets/file_dataset.h"

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/sha256.h"

namespace graft::io {
namespace {

int64_t size_of(const std::string& path) {
  return file_system().exists(path) ? file_system().open_read(path)->size() : -1;
}

class FileDataset final : public Dataset {
 public:
  explicit FileDataset(std::vector<LabelledFile> files) : files_(std::move(files)) {}
  int64_t size() const override { return std::ssize(files_); }
  int64_t label(int64_t index) const override { return files_[static_cast<size_t>(index)].label; }
  Image image(int64_t index) const override {
    return read_image(files_[static_cast<size_t>(index)].path);
  }
  std::string name(int64_t index) const override { return files_[static_cast<size_t>(index)].path; }

  bool encoded(int64_t index, std::vector<std::byte>& bytes) const override {
    const auto file = file_system().open_read(files_[static_cast<size_t>(index)].path);
    const int64_t size = file->size();
    GRAFT_CHECK(size <= kMaxImageFileBytes, file->path(), ": ", size,
                " bytes are too many for an image");
    bytes.resize(static_cast<size_t>(size));
    file->read_at(0, bytes);
    return true;
  }

  // Names below the data set's folder, labels and sizes (-1: a table names it, and it is not
  // there): moving the folder changes nothing.
  std::string fingerprint() const override {
    Sha256 hash;
    for (const LabelledFile& file : files_)
      hash.update(str(file.short_name, "\t", file.label, "\t", size_of(file.path), "\n"));
    return hash.hex();
  }

 private:
  std::vector<LabelledFile> files_;
};

}  // namespace

std::shared_ptr<const Dataset> file_dataset(std::vector<LabelledFile> files) {
  return std::make_shared<FileDataset>(std::move(files));
}

}  // namespace graft::io
