// read_weights(): which format is it, by its first bytes.
#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "graft/io/saved_model/model.h"
#include "graft/io/tflite/model.h"
#include "graft/io/torch_export/archive.h"
#include "graft/io/weights/formats.h"
#include "graft/io/weights/hdf5.h"
#include "graft/io/weights/onnx_weights.h"
#include "graft/io/weights/sharded.h"
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
  if (is_pytorch) return read_pytorch_zip(file, limits);
  if (is_export_archive(members)) return read_export_weights(file, limits);
  const bool is_keras = std::any_of(members.begin(), members.end(), [](const ZipMember& member) {
    return member.name == "model.weights.h5";
  });
  return is_keras ? read_keras_archive(file, limits) : read_npz(file, limits);
}

// ModelProto has no magic number. Python and others write ir_version (field 1) first; a model whose
// fields stand in another order is taken for one only when it parses.
bool starts_as_onnx(std::string_view start) {
  return start.size() > 1 && start[0] == '\x08' && start[1] >= 1;
}
bool may_be_onnx(std::string_view start) {
  return !start.empty() && std::string_view("\x12\x1a\x22\x28\x32\x3a\x42\x72").find(start[0]) !=
                               std::string_view::npos;
}

WeightFile read_onnx(File& file, const ReadLimits& limits) {
  GRAFT_CHECK(file.size() <= limits.protobuf_bytes, file.path(), ": ", file.size(),
              " bytes, more than the limit of ", limits.protobuf_bytes);
  std::vector<std::byte> bytes(static_cast<size_t>(file.size()));
  file.read_at(0, bytes);
  return onnx_weights(onnx::parse_model(bytes, file.path(), limits));
}

// Files that people mistake for weights, told apart so that the message helps.
[[noreturn]] void reject_unknown(const std::string& path, std::string_view start) {
  const auto starts = [&](std::string_view magic) { return start.starts_with(magic); };
  if (starts("\x93NUMPY"))
    bad_input(path, ": is a single NumPy array without a name, not a file of weights");
  if (starts("GGUF")) bad_input(path, ": is a GGUF file, which is not supported");
  if (starts("\x1f\x8b")) bad_input(path, ": is compressed with gzip; unpack it first");
  if (starts("version https://git-lfs"))
    bad_input(path,
              ": is a Git LFS pointer, not the weights themselves; fetch them with `git lfs pull`");
  if (starts("<!DOCTYPE") || starts("<!doctype") || starts("<html"))
    bad_input(path, ": is a web page, not weights; the download went wrong");
  if (start.size() >= 262 && start.substr(257, 5) == "ustar")
    bad_input(path,
              ": is a tar archive (PyTorch's format before 2018), which is not read; load it with "
              "PyTorch once and "
              "save its state_dict again");
  bad_input(path,
            ": is not a weight file of a known format (safetensors, NPZ, PyTorch, ONNX, Keras, "
            "TensorFlow Lite or MXNet), or is damaged at its start");
}

}  // namespace

void MemoryFile::read_at(int64_t offset, std::span<std::byte> out) {
  GRAFT_CHECK(
      offset >= 0 && offset <= size() && static_cast<int64_t>(out.size()) <= size() - offset, name_,
      ": is truncated: ", out.size(), " bytes wanted at offset ", offset);
  if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
}

void MemoryFile::append(std::span<const std::byte>) {
  fail(ErrorCode::usage, name_, ": is only open for reading");
}

namespace {

// `read_as_onnx` decides where external data may come from.
template <class ReadOnnx>
WeightFile read_recognised(File& file, const ReadLimits& limits, const ReadOnnx& read_as_onnx) {
  const int64_t size = file.size();
  GRAFT_CHECK(size > 0, file.path(), ": is empty");
  GRAFT_CHECK(size <= limits.file_bytes, file.path(), ": ", size, " bytes, more than the limit of ",
              limits.file_bytes);
  const std::string start = first_bytes(file, 512);
  if (tflite::starts_as_tflite(start)) return tflite::weights_of(tflite::read_model(file, limits));
  if (start.starts_with("PK\x03\x04") || start.starts_with("PK\x05\x06"))
    return read_zip(file, limits);
  // Before pickles: a header of 640 bytes begins as one of protocol 2 (no pickle has such zeros).
  if (start.size() > 8 && start[8] == '{' && start.compare(4, 4, std::string(4, '\0')) == 0)
    return read_safetensors(file, limits);
  if (start.size() > 1 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5)
    return read_pytorch_legacy(file, limits);
  if (start.size() > 8 && start[8] == '{') return read_safetensors(file, limits);
  if (start.starts_with("\x89HDF\r\n")) return read_hdf5(file, limits);
  if (start.starts_with(std::string_view("\x12\x01\0\0\0\0\0\0", 8)))
    return read_mxnet(file, limits);
  if (starts_as_onnx(start)) return read_as_onnx();
  if (may_be_onnx(start)) {
    try {
      return read_as_onnx();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::resource) throw;
      reject_unknown(file.path(), start);
    }
  }
  reject_unknown(file.path(), start);
}

}  // namespace

WeightFile read_weights(File& file, const ReadLimits& limits) {
  return read_recognised(file, limits, [&] { return read_onnx(file, limits); });
}

WeightFile read_weights(const std::string& named, const ReadLimits& limits) {
  const std::string folder = file_name(named) == "saved_model.pb" ? parent_path(named) : named;
  if (saved_model::is_saved_model(folder))
    return saved_model::weights_of(saved_model::read_model(folder, limits));
  const std::string path = file_system().is_directory(named) ? weights_in_folder(named) : named;
  try {
    const std::string index = index_of_shard(path);
    if (!index.empty()) return read_shards(index, limits);
    const auto file = file_system().open_read(path);
    if (path.ends_with(".json") && first_bytes(*file, 1) == "{") return read_shards(path, limits);
    return read_recognised(*file, limits,
                           [&] { return onnx_weights(onnx::read_model(path, limits)); });
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::resource, path, ": not enough memory to read it");
  }
}

}  // namespace graft::io
