// MXNet's .params: a list of arrays, then the list of their names. Layout: NDArray::Save in mxnet's
// src/ndarray/ndarray.cc (format versions 1 to 3 by magic number, and the oldest, whose arrays
// begin with their rank).
#include <algorithm>
#include <array>

#include "graft/io/weights/formats.h"
#include "graft/io/weights/stored_type.h"

namespace graft::io {
namespace {

constexpr uint64_t kArrayListMagic = 0x112;
constexpr uint32_t kArrayV1 = 0xF993fac8;  // shapes of int64 instead of uint32
constexpr uint32_t kArrayV2 = 0xF993fac9;  // and a storage type
constexpr uint32_t kArrayV3 = 0xF993faca;  // and NumPy's shapes: rank 0 is a scalar, -1 is unknown

// Reads a file front to back.
class Cursor {
 public:
  explicit Cursor(File& file) : file_(file), size_(file.size()) {}

  int64_t position() const { return position_; }
  int64_t left() const { return size_ - position_; }
  void read(std::span<std::byte> out) {
    GRAFT_CHECK(static_cast<int64_t>(out.size()) <= left(), "is truncated: ", out.size(),
                " bytes wanted at offset ", position_, ", ", left(), " are left");
    if (!out.empty()) file_.read_at(position_, out);
    position_ += static_cast<int64_t>(out.size());
  }
  template <class T>
  T number() {
    std::array<std::byte, sizeof(T)> bytes;
    read(bytes);
    return load<T>(bytes);
  }

 private:
  File& file_;
  int64_t size_, position_ = 0;
};

StoredType type_of_flag(int32_t flag) {
  constexpr StoredType types[] = {
      StoredType::f32, StoredType::f64, StoredType::f16,     StoredType::u8,  StoredType::i32,
      StoredType::i8,  StoredType::i64, StoredType::boolean, StoredType::i16, StoredType::u16,
      StoredType::u32, StoredType::u64, StoredType::bf16};
  GRAFT_CHECK(flag >= 0 && flag < std::ssize(types), "has the unknown element type ", flag);
  return types[flag];
}

// An undefined tensor where the list has a place without an array.
Tensor read_array(Cursor& in, const ReadLimits& limits, int64_t& widened_arrays) {
  const auto magic = in.number<uint32_t>();
  const bool versioned = magic == kArrayV1 || magic == kArrayV2 || magic == kArrayV3;
  if (magic == kArrayV2 || magic == kArrayV3) {
    const auto storage = in.number<int32_t>();
    GRAFT_CHECK(storage != 1 && storage != 2, "is a sparse array, which is not supported");
    GRAFT_CHECK(storage == 0 || storage == -1, "has the unknown storage type ", storage);
  }
  const int64_t rank = versioned ? in.number<int32_t>() : static_cast<int64_t>(magic);
  if (rank == -1 || (rank == 0 && magic != kArrayV3)) return {};
  GRAFT_CHECK(rank >= 0 && rank <= 32, "has the rank ", rank);
  std::vector<int64_t> extents;
  for (int64_t axis = 0; axis < rank; ++axis)
    extents.push_back(versioned ? in.number<int64_t>() : in.number<uint32_t>());
  if (magic == kArrayV3 && std::find(extents.begin(), extents.end(), -1) != extents.end())
    return {};
  in.number<int64_t>();  // device type and number where the array was
  const StoredType type = type_of_flag(in.number<int32_t>());
  const Shape shape = checked_shape(extents, limits);
  const int64_t bytes = checked_mul(shape.numel(), stored_size(type));
  GRAFT_CHECK(bytes <= in.left(), "is truncated: ", shape, " of ", name_of(type), " needs ", bytes,
              " bytes at offset ", in.position(), ", ", in.left(), " are left");
  widened_arrays += is_widened(type);
  return read_elements(type, shape, [&](std::span<std::byte> out) { in.read(out); });
}

std::string read_array_name(Cursor& in, const ReadLimits& limits, MemoryBudget& budget) {
  const auto length = in.number<uint64_t>();
  GRAFT_CHECK(length <= static_cast<uint64_t>(limits.name_bytes), "a name has ", length, " bytes");
  budget.charge(static_cast<int64_t>(length) + 300);
  std::string name(static_cast<size_t>(length), '\0');
  in.read(std::as_writable_bytes(std::span(name)));
  // What the array is to MXNet: a parameter or a statistic. Not part of its name.
  for (const char* kind : {"arg:", "aux:"})
    if (name.starts_with(kind)) return name.substr(4);
  return name;
}

WeightFile read_mxnet_checked(File& file, const ReadLimits& limits) {
  Cursor in(file);
  GRAFT_CHECK(in.number<uint64_t>() == kArrayListMagic, "is no list of MXNet arrays");
  in.number<uint64_t>();  // reserved
  const auto count = in.number<uint64_t>();
  GRAFT_CHECK(count <= static_cast<uint64_t>(limits.tensors), "has ", count,
              " arrays, more than the limit of ", limits.tensors);
  MemoryBudget budget(in.left());
  int64_t widened_arrays = 0, absent = 0;
  std::vector<Tensor> arrays;
  for (uint64_t i = 0; i < count; ++i) {
    budget.charge(200);
    arrays.push_back(
        in_context(str("array ", i), [&] { return read_array(in, limits, widened_arrays); }));
  }
  const auto names = in.number<uint64_t>();
  GRAFT_CHECK(names == count || names == 0, "has ", count, " arrays and ", names, " names");
  WeightFile result;
  result.path = file.path();
  result.format = "mxnet";
  for (size_t i = 0; i < arrays.size(); ++i) {
    std::string name = names == 0 ? std::to_string(i) : read_array_name(in, limits, budget);
    if (!arrays[i].defined())
      ++absent;
    else
      result.tensors.add(std::move(name), std::move(arrays[i]));
  }
  GRAFT_CHECK(in.left() == 0, "has ", in.left(), " bytes after its last name");
  if (names == 0 && count > 0)
    result.notes.push_back("the arrays have no names in the file; they are numbered");
  if (absent > 0) result.notes.push_back(str(absent, " places of the list hold no array"));
  if (widened_arrays > 0) result.notes.push_back(widened_note(widened_arrays));
  return result;
}

}  // namespace

WeightFile read_mxnet(File& file, const ReadLimits& limits) {
  WeightFile result = in_context(file.path(), [&] { return read_mxnet_checked(file, limits); });
  result.roots = {""};
  return result;
}

}  // namespace graft::io
