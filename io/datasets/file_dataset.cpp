#include "graft/io/datasets/file_dataset.h"

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/sha256.h"
#include "graft/io/images/nifti.h"

namespace graft::io {
namespace {

std::string answer_of(const LabelledFile& file) {
  if (file.text) return str("\"", *file.text, "\"");
  if (!file.numbers.empty()) return join(file.numbers, " ");
  return file.labels ? str("[", join(*file.labels, " "), "]") : std::to_string(file.label);
}

class FileDataset final : public Dataset {
 public:
  FileDataset(std::vector<LabelledFile> files, FileKind kind)
      : files_(std::move(files)), kind_(std::move(kind)) {
    stamps_.reserve(files_.size());
    for (const LabelledFile& file : files_)
      stamps_.push_back(file_system().stamp(slice_path(file.path).file));
  }
  int64_t size() const override { return std::ssize(files_); }
  int64_t label(int64_t index) const override {
    const LabelledFile& of = file(index);
    if (!of.labels) return of.label;
    return of.labels->empty() ? 0 : of.labels->front();
  }
  std::vector<int64_t> labels(int64_t index) const override {
    const LabelledFile& of = file(index);
    return of.labels ? *of.labels : std::vector<int64_t>{of.label};
  }
  std::vector<double> numbers(int64_t index) const override { return file(index).numbers; }
  std::string group(int64_t index) const override { return file(index).group; }
  std::string text(int64_t index) const override {
    const LabelledFile& of = file(index);
    GRAFT_CHECK(of.text.has_value(), of.path, ": has no text");
    return *of.text;
  }
  Image image(int64_t index) const override {
    GRAFT_CHECK(kind_.is_images(), file(index).path, ": is a ", kind_.one, ", not an image");
    return read_image(file(index).path);
  }
  std::string name(int64_t index) const override { return file(index).path; }
  bool is_changed(int64_t index) const override {
    return file_system().stamp(slice_path(file(index).path).file) !=
           stamps_[static_cast<size_t>(index)];
  }

  bool encoded(int64_t index, std::vector<std::byte>& bytes) const override {
    const auto file = file_system().open_read(slice_path(this->file(index).path).file);
    const int64_t size = file->size();
    GRAFT_CHECK(size <= kMaxImageFileBytes, file->path(), ": ", size, " bytes are too many for ",
                kind_.is_images() ? "an " : "a ", kind_.one);
    bytes.resize(static_cast<size_t>(size));
    file->read_at(0, bytes);
    return true;
  }

  int64_t bytes_held() const override {
    int64_t bytes = 0;
    for (const LabelledFile& file : files_)
      bytes += static_cast<int64_t>(sizeof(LabelledFile) + sizeof(FileStamp) + file.path.size() +
                                    file.short_name.size() + file.group.size() +
                                    (file.text ? file.text->size() : 0) +
                                    (file.labels ? file.labels->size() * sizeof(int64_t) : 0) +
                                    file.numbers.size() * sizeof(double));
    return bytes;
  }

  // Zeros for a file that a table names and that is not there: whoever reads it says so.
  ImageHeader header(int64_t index) const override {
    const std::string path = slice_path(file(index).path).file;
    if (!file_system().exists(path)) return {};
    const auto file = file_system().open_read(path);
    if (kind_.is_images()) return read_image_header(*file);
    return {.decode_bytes = kind_.decode_bytes ? kind_.decode_bytes(*file) : 0};
  }

  // Names below the data set's folder, labels and sizes (-1: a table names it, and it is not
  // there): moving the folder changes nothing.
  std::string fingerprint() const override {
    Sha256 hash;
    for (size_t i = 0; i < files_.size(); ++i)
      hash.update(
          str(files_[i].short_name, "\t", answer_of(files_[i]), "\t", stamps_[i].size, "\n"));
    return hash.hex();
  }

 private:
  const LabelledFile& file(int64_t index) const {
    check_index(index);
    return files_[static_cast<size_t>(index)];
  }

  std::vector<LabelledFile> files_;
  FileKind kind_;
  std::vector<FileStamp> stamps_;  // as they were found
};

}  // namespace

std::shared_ptr<const Dataset> file_dataset(std::vector<LabelledFile> files, FileKind kind) {
  return std::make_shared<FileDataset>(std::move(files), std::move(kind));
}

}  // namespace graft::io
