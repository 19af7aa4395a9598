// MNIST's IDX files (http://yann.lecun.com/exdb/mnist): big-endian magic 0x00000803 for images,
// 0x00000801 for labels.
#include <algorithm>

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

// The header's extents, then as many bytes as they promise into what `place` gives for them.
template <class Place>
void read_idx_file(const std::string& path, int axes, Place place) {
  BinaryReader reader(path);
  std::vector<std::byte> header(4 + 4 * static_cast<size_t>(axes));
  GRAFT_CHECK(reader.read(header) == header.size(), path, ": is truncated: an IDX header has ",
              header.size(), " bytes");
  const auto word = [&](size_t at) {
    int64_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<int64_t>(header[at + i]);
    return value;
  };
  GRAFT_CHECK(word(0) == (0x0800 | axes), path, ": not an IDX file of bytes with ", axes, " axes");
  int64_t extents[3] = {1, 1, 1}, count = 1, room = 1;  // room: as if no extent were 0
  for (int axis = 0; axis < axes; ++axis) {
    extents[axis] = word(4 + 4 * static_cast<size_t>(axis));
    const int64_t least = std::max<int64_t>(extents[axis], 1);
    GRAFT_CHECK(room <= kUnpackedLimit / least, path, ": its header promises more than ",
                kUnpackedLimit, " bytes");
    room *= least;
    count *= extents[axis];
  }
  const int64_t most = reader.most_bytes() - std::ssize(header);
  GRAFT_CHECK(reader.is_packed() ? count <= most : count == most, path, ": holds ",
              reader.is_packed() ? "at most " : "", reader.most_bytes(),
              " bytes, its header promises ", count, " and ", header.size(), " of header");
  const std::span<std::byte> out = place(extents);
  const size_t got = reader.read(out);
  std::byte more[1];
  GRAFT_CHECK(std::ssize(out) == count && got == out.size() && reader.read(more) == 0, path,
              ": holds ", got < out.size() ? "fewer" : "more", " bytes than the ", count,
              " that its header promises");
}

DataPart read_part(const std::string& folder, const std::string& prefix, int64_t& classes) {
  const std::string images = find_file(folder, prefix + "-images-idx3-ubyte"),
                    labels = find_file(folder, prefix + "-labels-idx1-ubyte");
  DataPart part;
  if (images.empty()) return part;
  GRAFT_CHECK(!labels.empty(), folder, ": there are ", prefix, " images but no ", prefix,
              "-labels-idx1-ubyte");
  Tensor block;
  read_idx_file(images, 3, [&](const int64_t* extents) {
    block = Tensor::empty({extents[0], extents[1], extents[2], 1}, {.dtype = DType::u8});
    return std::as_writable_bytes(
        std::span(block.mutable_data<uint8_t>(), static_cast<size_t>(block.numel())));
  });
  std::vector<std::byte> marks;
  read_idx_file(labels, 1, [&](const int64_t* extents) {
    marks.resize(static_cast<size_t>(extents[0]));
    return std::span(marks);
  });
  GRAFT_CHECK(block.size(0) == std::ssize(marks), folder, ": ", block.size(0), " ", prefix,
              " images but ", marks.size(), " labels");
  std::vector<int64_t> values;
  values.reserve(marks.size());
  for (const std::byte mark : marks) values.push_back(std::to_integer<int64_t>(mark));
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
