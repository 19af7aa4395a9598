// The readers behind read_weights(), one per format, over any File: for tests, fuzzing and the
// data-set readers.
#pragma once
#include <span>
#include <string>

#include "graft/core/base/file_system.h"
#include "graft/io/weights/weights.h"

namespace graft::io {

// A read-only File over bytes that outlive it; `name` stands for the path in messages.
class GRAFT_API MemoryFile final : public File {
 public:
  MemoryFile(std::string name, std::span<const std::byte> bytes)
      : name_(std::move(name)), bytes_(bytes) {}
  const std::string& path() const override { return name_; }
  int64_t size() override { return static_cast<int64_t>(bytes_.size()); }
  void read_at(int64_t offset, std::span<std::byte> out) override;
  void append(std::span<const std::byte>) override;
  void sync() override {}
  void close() override {}

 private:
  std::string name_;
  std::span<const std::byte> bytes_;
};

// As read_weights(), on an open file. External data of an ONNX model is refused.
GRAFT_API WeightFile read_weights(File& file, const ReadLimits& limits = {});

GRAFT_API WeightFile read_safetensors(File& file, const ReadLimits& limits = {});
GRAFT_API WeightFile read_npz(File& file, const ReadLimits& limits = {});
GRAFT_API WeightFile read_pytorch_zip(File& file, const ReadLimits& limits = {});
GRAFT_API WeightFile read_pytorch_legacy(File& file, const ReadLimits& limits = {});
GRAFT_API WeightFile read_mxnet(File& file, const ReadLimits& limits = {});

// One array of an .npy file (format versions 1 to 3, C or Fortran order, little-endian); the result
// is in C order.
GRAFT_API Tensor read_npy(File& file, const ReadLimits& limits = {});
GRAFT_API Tensor read_npy(const std::string& path, const ReadLimits& limits = {});

}  // namespace graft::io
