// read_weights(): which format is it, by its first bytes.
#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "graft/io/weights/formats.h"
#include "graft/io/weights/stored_type.h"
#include "graft/io/weights/zip.h"

namespace graft::io {
namespace {

std::string first_bytes(File& file, int64_t count) {
  std::string start(static_cast<size_t>(std::min(count, file.size())), '\0');
  if (!start.empty()) file.read_at(0, std::as_writable_bytes(std::span(start)));
  return start;
}

WeightFile read_zip(File& file, const ReadLimits& limits) {
  const auto members = in_context(file.path(), [&] { return read_zip_directory(file, limits); });
  const bool is_pytorch = std::any_of(members.begin(), members.end(), [](const ZipMember& member) {
    return member.name == "data.pkl" || member.name.ends_with("/data.pkl");
  });
  return is_pytorch ? read_pytorch_zip(file, limits) : read_npz(file, limits);
}

// Files that people mistake for weights, told apart so that the message helps.
[[noreturn]] void reject_unknown(const std::string& path, std::string_view start) {
  const auto starts = [&](std::string_view magic) { return start.starts_with(magic); };
  if (starts("\x93NUMPY")) bad_input(path, ": is a single NumPy array without a name, not a file of weights");
  if (starts("\x89HDF\r\n")) bad_input(path, ": is an HDF5 file (Keras), which is not read directly; convert it first");
  if (starts("GGUF")) bad_input(path, ": is a GGUF file, which is not supported");
  if (starts("\x1f\x8b")) bad_input(path, ": is compressed with gzip; unpack it first");
  if (starts("version https://git-lfs"))
    bad_input(path, ": is a Git LFS pointer, not the weights themselves; fetch them with `git lfs pull`");
  if (starts("<!DOCTYPE") || starts("<!doctype") || starts("<html"))
    bad_input(path, ": is a web page, not weights; the download went wrong");
  if (start.size() >= 262 && start.substr(257, 5) == "ustar")
    bad_input(path, ": is a tar archive (PyTorch's format before 2018), which is not read; load it with PyTorch once and "
                    "save its state_dict again");
  bad_input(path, ": is not a weight file of a known format (safetensors, npz, PyTorch or ONNX), or is damaged at its start");
}

}  // namespace

void MemoryFile::read_at(int64_t offset, std::span<std::byte> out) {
  GRAFT_CHECK(offset >= 0 && offset <= size() && static_cast<int64_t>(out.size()) <= size() - offset, name_,
              ": is truncated: ", out.size(), " bytes wanted at offset ", offset);
  if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
}

void MemoryFile::append(std::span<const std::byte>) { fail(ErrorCode::usage, name_, ": is only open for reading"); }

WeightFile read_weights(File& file, const ReadLimits& limits) {
  const int64_t size = file.size();
  GRAFT_CHECK(size > 0, file.path(), ": is empty");
  GRAFT_CHECK(size <= limits.file_bytes, file.path(), ": ", size, " bytes, more than the limit of ", limits.file_bytes);
  const std::string start = first_bytes(file, 512);
  if (start.starts_with("PK\x03\x04") || start.starts_with("PK\x05\x06")) return read_zip(file, limits);
  if (start.size() > 1 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5) return read_pytorch_legacy(file, limits);
  if (start.size() > 8 && start[8] == '{') return read_safetensors(file, limits);
  reject_unknown(file.path(), start);
}

WeightFile read_weights(const std::string& path, const ReadLimits& limits) {
  const auto file = file_system().open_read(path);
  try {
    return read_weights(*file, limits);
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::resource, path, ": not enough memory to read it");
  }
}

}  // namespace graft::io
