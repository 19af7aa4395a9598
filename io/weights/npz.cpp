// NPZ: a zip archive of NPY members named "<tensor>.npy".
#include <algorithm>

#include "graft/core/tensor/device_backend.h"
#include "graft/io/weights/formats.h"
#include "graft/io/weights/npy.h"
#include "graft/io/weights/zip.h"

namespace graft::io {
namespace {

WeightFile read_arrays(File& file, const ReadLimits& limits) {
  const std::vector<ZipMember> members = read_zip_directory(file, limits);
  GRAFT_CHECK(static_cast<int64_t>(members.size()) <= limits.tensors, "has more than ",
              limits.tensors, " tensors");
  WeightFile result;
  result.path = file.path();
  result.format = "npz";
  int64_t widened_tensors = 0, taken_for_bf16 = 0;
  for (const ZipMember& member : members) {
    if (member.name.ends_with('/') && member.size == 0) continue;  // a folder
    GRAFT_CHECK(member.name.ends_with(".npy"), "the zip member '", member.name,
                "' is not an .npy array");
    std::string name = member.name.substr(0, member.name.size() - 4);
    Tensor tensor = in_context(str("array '", name, "'"), [&] {
      ZipReader reader(file, member);
      NpyHeader header;
      Tensor read = read_npy_stream(
          member.size, [&](std::span<std::byte> out) { reader.read(out); }, limits, header);
      reader.finish();
      widened_tensors += is_widened(header.type);
      taken_for_bf16 += header.type == StoredType::bf16;
      return read;
    });
    result.tensors.add(std::move(name), std::move(tensor));
  }
  if (taken_for_bf16 > 0)
    result.notes.push_back(str(taken_for_bf16,
                               " arrays of two bytes an element (V2) are taken for bfloat16, as "
                               "ml_dtypes writes it (guessed)"));
  if (widened_tensors > 0) result.notes.push_back(widened_note(widened_tensors));
  return result;
}

}  // namespace

WeightFile read_npz(File& file, const ReadLimits& limits) {
  WeightFile result = in_context(file.path(), [&] { return read_arrays(file, limits); });
  result.roots = {""};
  return result;
}

void write_npz(const std::string& path, const StateDict& tensors) {
  std::vector<Tensor> kept;  // the bytes that the parts point to
  std::vector<std::string> headers;
  kept.reserve(tensors.size());
  headers.reserve(tensors.size());
  std::vector<ZipPart> parts;
  for (const auto& [name, tensor] : tensors) {
    in_context(str(path, ": tensor '", name, "'"), [&kept, &headers, &tensor = tensor] {
      kept.push_back(to_device(tensor, {}).to(MemoryFormat::contiguous));
      headers.push_back(npy_header(kept.back()));
    });
    parts.push_back(
        {name + ".npy",
         {std::as_bytes(std::span(headers.back())), bytes_of(std::as_const(kept.back()))}});
  }
  std::sort(parts.begin(), parts.end(),
            [](const ZipPart& a, const ZipPart& b) { return a.name < b.name; });
  write_zip(path, parts);
}

void write_npy(const std::string& path, const Tensor& tensor) {
  const Tensor kept = to_device(tensor, {}).to(MemoryFormat::contiguous);
  const std::string header = in_context(path, [&] { return npy_header(kept); });
  const std::span<const std::byte> parts[] = {std::as_bytes(std::span(header)), bytes_of(kept)};
  write_file_atomically(path, parts);
}

}  // namespace graft::io
