// HostLists: positions and weights that operations bring from the host, on the device by their
// content: brought once, so that a step uploads nothing the second time and can be captured.
#pragma once
#include <span>
#include <string>
#include <unordered_map>

#include "graft/core/tensor/tensor.h"
#include "graft/kernels/cuda/gpu/device.h"

namespace graft::cuda {

// Of one device. Lists used longest ago go when there are too many; those that a captured graph
// reads stay.
class HostLists {
 public:
  explicit HostLists(gpu::Device& device, size_t most = 4096,
                     int64_t most_bytes = int64_t{64} << 20)
      : device_(device), most_(most), most_bytes_(most_bytes) {}

  // [size], i64 or f32; of an empty list one element. Error(bad_input) for a list that is not there
  // while a graph is captured.
  Tensor find(std::span<const int64_t> values) {
    return find(values.data(), values.size(), DType::i64);
  }
  Tensor find(std::span<const float> values) {
    return find(values.data(), values.size(), DType::f32);
  }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Tensor list;
    int64_t used = 0;
    bool captured = false;
  };
  Tensor find(const void* values, size_t count, DType dtype);
  void make_room(int64_t bytes);

  gpu::Device& device_;
  size_t most_;
  int64_t most_bytes_, bytes_ = 0, uses_ = 0;
  std::unordered_map<std::string, Entry> entries_;  // by dtype and bytes
};

}  // namespace graft::cuda
