// CIFAR-10/100 binary folders (https://www.cs.toronto.edu/~kriz/cifar.html): records of 1 or 2
// label bytes and 3072 bytes of planes R, G, B of 32x32.
#include <utility>

#include "graft/core/base/file_system.h"
#include "graft/io/datasets/binary_file.h"
#include "graft/io/datasets/sources.h"

namespace graft::io {
namespace {

constexpr int64_t kPixels = 32 * 32;

struct CifarKind {
  int64_t labels;  // label bytes a record; the last one counts
  int64_t classes;
  const char* names;  // file of class names
  std::vector<std::string> train, test;
};

CifarKind kind_of(const std::string& path) {
  if (file_system().exists(join_path(path, "data_batch_1.bin")) ||
      file_system().exists(join_path(path, "test_batch.bin")))
    return {1,
            10,
            "batches.meta.txt",
            {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
             "data_batch_5.bin"},
            {"test_batch.bin"}};
  return {2, 100, "fine_label_names.txt", {"train.bin"}, {"test.bin"}};
}

DataPart read_part(const std::string& folder, const CifarKind& kind,
                   const std::vector<std::string>& names) {
  const int64_t record = kind.labels + 3 * kPixels;
  std::vector<std::byte> bytes;
  for (const std::string& name : names) {
    const std::string path = join_path(folder, name);
    if (!file_system().exists(path)) continue;
    const auto more = read_maybe_gzipped(path, int64_t{1} << 30);
    GRAFT_CHECK(!more.empty() && std::ssize(more) % record == 0, path, ": ", more.size(),
                " bytes are no whole number of CIFAR records of ", record);
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  DataPart part;
  if (bytes.empty()) return part;
  const int64_t count = std::ssize(bytes) / record;
  Tensor block = Tensor::empty({count, 32, 32, 3}, {.dtype = DType::u8});
  uint8_t* out = block.mutable_data<uint8_t>();
  std::vector<int64_t> labels;
  labels.reserve(static_cast<size_t>(count));
  for (int64_t n = 0; n < count; ++n) {
    const std::byte* in = bytes.data() + n * record;
    labels.push_back(std::to_integer<int64_t>(in[kind.labels - 1]));
    GRAFT_CHECK(labels.back() < kind.classes, folder, ": label ", labels.back(), " of record ", n,
                " is not below ", kind.classes);
    for (int64_t i = 0; i < kPixels; ++i)
      for (int64_t c = 0; c < 3; ++c)
        *out++ = std::to_integer<uint8_t>(in[kind.labels + c * kPixels + i]);
  }
  part.dataset = pixel_dataset(join_path(folder, names[0]), std::move(block), std::move(labels));
  return part;
}

std::vector<std::string> class_names(const std::string& folder, const CifarKind& kind) {
  std::vector<std::string> names;
  const std::string path = join_path(folder, kind.names);
  if (file_system().exists(path)) {
    std::string line;
    for (const char c : read_text_file(path, 1 << 20)) {
      if (c != '\n') {
        if (c != '\r') line += c;
      } else if (!line.empty()) {
        names.push_back(std::exchange(line, ""));
      }
    }
    if (!line.empty()) names.push_back(line);
  }
  if (std::ssize(names) == kind.classes) return names;
  names.clear();
  for (int64_t i = 0; i < kind.classes; ++i) names.push_back(std::to_string(i));
  return names;
}

}  // namespace

bool is_cifar_folder(const std::string& path) {
  for (const char* name : {"data_batch_1.bin", "test_batch.bin", "train.bin", "test.bin"})
    if (file_system().exists(join_path(path, name))) return true;
  return false;
}

DataParts read_cifar(const std::string& path) {
  const CifarKind kind = kind_of(path);
  DataParts parts;
  parts.train = read_part(path, kind, kind.train);
  parts.val = read_part(path, kind, kind.test);
  parts.train.classes = parts.val.classes = class_names(path, kind);
  return parts;
}

}  // namespace graft::io
