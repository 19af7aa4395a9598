// The fake GPU's tensor maps: what a map says in a form that the host reads, and the boxes that it
// describes.
#pragma once
#include <cstring>
#include <string>

#include "graft/kernels/cuda/gpu/tensor_map.h"

namespace graft::cuda::emulator {

// What stands in gpu::TensorMap's bytes.
struct HostTensorMap {
  static constexpr uint64_t kMagic = 0x67726166746d6170;
  uint64_t magic = 0;
  bool is_pixels = false;
  union {
    gpu::BoxMap boxes;
    gpu::PixelMap pixels;
  };

  explicit HostTensorMap(const gpu::BoxMap& map) : magic(kMagic), boxes(map) {}
  explicit HostTensorMap(const gpu::PixelMap& map) : magic(kMagic), is_pixels(true), pixels(map) {}
  // Of a kernel's argument; its magic is wrong when nobody encoded it.
  explicit HostTensorMap(const gpu::TensorMap& map) : boxes{} {
    std::memcpy(static_cast<void*>(this), &map, sizeof *this);
  }
  void write(gpu::TensorMap& map) const {
    static_assert(sizeof(HostTensorMap) <= sizeof(gpu::TensorMap));
    std::memcpy(&map, static_cast<const void*>(this), sizeof *this);
  }
  int rows() const {
    return is_pixels ? pixels.pixels : boxes.box[1] * boxes.box[2];
  }  // of 128 bytes, in shared memory
};

// Why the driver would refuse a map (cuTensorMapEncodeTiled, cuTensorMapEncodeIm2col: their
// parameters' ranges); "" when it does not.
std::string refuses(const gpu::BoxMap& map);
std::string refuses(const gpu::PixelMap& map);

// Where in a tensor a copy begins, innermost axis first, and what an im2col copy adds to w and h of
// each pixel.
struct BoxPlace {
  int at[4];
  int offset_w = 0, offset_h = 0;
};

// The elements of a box's row: their device address and how many of its 64 lie in the tensor (those
// behind them are zeros); null: none.
struct BoxRow {
  const void* data = nullptr;
  int first = 0, count = 0;  // elements of the row
};
BoxRow row_of(const HostTensorMap& map, const BoxPlace& place, int row);

}  // namespace graft::cuda::emulator
