// A folder of class folders, as torchvision's ImageFolder reads it; and the file data set that CSVs
// share.
#include <algorithm>

#include "graft/core/base/file_system.h"
#include "graft/core/base/sha256.h"
#include "graft/io/datasets/file_dataset.h"
#include "graft/io/datasets/sources.h"

namespace graft::io {
namespace {

class FileDataset final : public Dataset {
 public:
  explicit FileDataset(std::vector<LabelledFile> files) : files_(std::move(files)) {}
  int64_t size() const override { return std::ssize(files_); }
  int64_t label(int64_t index) const override { return file(index).label; }
  Image image(int64_t index) const override { return read_image(file(index).path); }
  std::string name(int64_t index) const override { return file(index).path; }

  bool encoded(int64_t index, std::vector<std::byte>& bytes) const override {
    const auto file = file_system().open_read(this->file(index).path);
    const int64_t size = file->size();
    GRAFT_CHECK(size <= kMaxImageFileBytes, file->path(), ": ", size,
                " bytes are too many for an image");
    bytes.resize(static_cast<size_t>(size));
    file->read_at(0, bytes);
    return true;
  }

  // Names below the data set's folder, labels and sizes: moving the folder changes nothing.
  std::string fingerprint() const override {
    Sha256 hash;
    for (const LabelledFile& file : files_)
      hash.update(str(file.short_name, "\t", file.label, "\t",
                      file_system().open_read(file.path)->size(), "\n"));
    return hash.hex();
  }

 private:
  const LabelledFile& file(int64_t index) const {
    check_index(index);
    return files_[static_cast<size_t>(index)];
  }

  std::vector<LabelledFile> files_;
};

// Images below a class folder, its own folders included.
void collect(const std::string& folder, const std::string& short_name, int64_t label, int depth,
             std::vector<LabelledFile>& out) {
  GRAFT_CHECK(depth <= 16, folder, ": folders are nested too deeply");
  for (const DirectoryEntry& entry : file_system().list(folder)) {
    const std::string path = join_path(folder, entry.name),
                      name = join_path(short_name, entry.name);
    if (entry.is_directory)
      collect(path, name, label, depth + 1, out);
    else if (entry.is_regular && has_image_extension(path))
      out.push_back({path, name, label});
  }
}

std::vector<std::string> class_folders(const std::string& path) {
  std::vector<std::string> names;
  for (const DirectoryEntry& entry : file_system().list(path))
    if (entry.is_directory && entry.name[0] != '.') names.push_back(entry.name);
  return names;
}

DataPart read_part(const std::string& path) {
  DataPart part;
  part.classes = class_folders(path);
  GRAFT_CHECK(part.classes.size() >= 2, path,
              ": a folder of class folders is needed (at least two), it has ", part.classes.size());
  std::vector<LabelledFile> files;
  for (size_t label = 0; label < part.classes.size(); ++label) {
    const size_t before = files.size();
    collect(join_path(path, part.classes[label]), part.classes[label], static_cast<int64_t>(label),
            0, files);
    GRAFT_CHECK(files.size() > before, join_path(path, part.classes[label]),
                ": the class folder holds no images");
  }
  part.dataset = file_dataset(std::move(files));
  return part;
}

}  // namespace

std::shared_ptr<const Dataset> file_dataset(std::vector<LabelledFile> files) {
  return std::make_shared<FileDataset>(std::move(files));
}

DataParts read_folder(const std::string& path) {
  DataParts parts;
  const auto inside = [&](const char* name) {
    const std::string folder = join_path(path, name);
    return file_system().is_directory(folder) ? folder : std::string();
  };
  const std::string train = inside("train");
  std::string val;
  for (const char* name : {"val", "valid", "validation", "test"})
    if (val.empty()) val = inside(name);
  if (train.empty() || val.empty()) {  // "train" alone may be a class, but then it has siblings
    parts.train = read_part(train.empty() || class_folders(path).size() > 1 ? path : train);
    return parts;
  }
  parts.train = read_part(train);
  parts.val = read_part(val);
  GRAFT_CHECK(parts.train.classes == parts.val.classes, path, ": the classes of ", file_name(train),
              "/ (", join(parts.train.classes), ") and ", file_name(val), "/ (",
              join(parts.val.classes), ") differ");
  return parts;
}

}  // namespace graft::io
