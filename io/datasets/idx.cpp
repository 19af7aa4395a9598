// MNIST's IDX files (http://yann.lecun.com/exdb/mnist): big-endian magic 0x00000803 for images,
// 0x00000801 for labels.
#include <algorithm>
#include <cstring>

#include "graft/core/base/file_system.h"
#include "graft/io/datasets/binary_file.h"
#include "graft/io/datasets/sources.h"

namespace graft::io {
namespace {

constexpr int64_t kUnpackedLimit = int64_t{4} << 30;

// "" when neither the plain nor the .gz file is there.
std::string find_file(const std::string& folder, const std::string& name) {
  for (const std::string& candidate : {name, name + ".gz"})
    if (file_system().exists(join_path(folder, candidate))) return join_path(folder, candidate);
  return "";
}

struct Idx {
  std::vector<std::byte> bytes;
  int64_t extents[3] = {1, 1, 1};
  size_t header = 0;
};

Idx read_idx_file(const std::string& path, int axes) {
  Idx idx{read_maybe_gzipped(path, kUnpackedLimit), {1, 1, 1}, 4 + 4 * static_cast<size_t>(axes)};
  GRAFT_CHECK(idx.bytes.size() >= idx.header, path, ": is truncated: an IDX header has ",
              idx.header, " bytes");
  const auto word = [&](size_t at) {
    int64_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<int64_t>(idx.bytes[at + i]);
    return value;
  };
  GRAFT_CHECK(word(0) == (0x0800 | axes), path, ": not an IDX file of bytes with ", axes, " axes");
  int64_t count = 1;
  for (int axis = 0; axis < axes; ++axis) {
    idx.extents[axis] = word(4 + 4 * static_cast<size_t>(axis));
    GRAFT_CHECK(idx.extents[axis] == 0 || count <= kUnpackedLimit / idx.extents[axis], path,
                ": its header promises more than ", kUnpackedLimit, " bytes");
    count *= idx.extents[axis];
  }
  GRAFT_CHECK(std::ssize(idx.bytes) == count + static_cast<int64_t>(idx.header), path, ": holds ",
              idx.bytes.size(), " bytes, its header promises ", count, " and ", idx.header,
              " of header");
  return idx;
}

DataPart read_part(const std::string& folder, const std::string& prefix, int64_t& classes) {
  const std::string images = find_file(folder, prefix + "-images-idx3-ubyte"),
                    labels = find_file(folder, prefix + "-labels-idx1-ubyte");
  DataPart part;
  if (images.empty()) return part;
  GRAFT_CHECK(!labels.empty(), folder, ": there are ", prefix, " images but no ", prefix,
              "-labels-idx1-ubyte");
  const Idx pixels = read_idx_file(images, 3), marks = read_idx_file(labels, 1);
  GRAFT_CHECK(pixels.extents[0] == marks.extents[0], folder, ": ", pixels.extents[0], " ", prefix,
              " images but ", marks.extents[0], " labels");
  Tensor block = Tensor::empty({pixels.extents[0], pixels.extents[1], pixels.extents[2], 1},
                               {.dtype = DType::u8});
  std::memcpy(block.mutable_raw(), pixels.bytes.data() + pixels.header,
              static_cast<size_t>(block.numel()));
  std::vector<int64_t> values;
  values.reserve(marks.bytes.size());
  for (size_t i = marks.header; i < marks.bytes.size(); ++i)
    values.push_back(std::to_integer<int64_t>(marks.bytes[i]));
  for (const int64_t value : values) classes = std::max(classes, value + 1);
  part.dataset = pixel_dataset(images, std::move(block), std::move(values));
  return part;
}

}  // namespace

bool is_idx_folder(const std::string& path) {
  return !find_file(path, "train-images-idx3-ubyte").empty() ||
         !find_file(path, "t10k-images-idx3-ubyte").empty();
}

DataParts read_idx(const std::string& path) {
  DataParts parts;
  int64_t classes = 0;
  parts.train = read_part(path, "train", classes);
  parts.val = read_part(path, "t10k", classes);
  for (int64_t label = 0; label < classes; ++label)
    parts.train.classes.push_back(std::to_string(label));
  parts.val.classes = parts.train.classes;
  return parts;
}

}  // namespace graft::io
