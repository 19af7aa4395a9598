#include "graft/kernels/cuda/emulator/tensor_map.h"

#include <algorithm>

namespace graft::cuda::emulator {
namespace {

constexpr int64_t kLargestAxis = int64_t{1} << 32, kLargestStride = int64_t{1} << 40;

std::string refuses_tensor(const void* data, const int64_t* sizes, int rank) {
  if (reinterpret_cast<uintptr_t>(data) % 16 != 0) return "its address is not a multiple of 16";
  int64_t stride = 2;
  for (int i = 0; i < rank; ++i) {
    if (sizes[i] < 1 || sizes[i] > kLargestAxis) return "an axis is empty or longer than 2^32";
    stride *= sizes[i];
    if (i < rank - 1 && (stride % 16 != 0 || stride >= kLargestStride))
      return "a stride is no multiple of 16 or not below 2^40";
  }
  return "";
}

// Elements [channel, channel + 64) of a line of `size` channels that begins at `line`.
BoxRow channels(const void* tensor, int64_t line, int64_t channel, int64_t size) {
  const int64_t first = std::max<int64_t>(channel, 0),
                last = std::min(channel + gpu::kBoxRow, size);
  if (first >= last) return {};
  const uintptr_t address =
      reinterpret_cast<uintptr_t>(tensor) + static_cast<uintptr_t>((line + first) * 2);
  return {reinterpret_cast<const void*>(address), static_cast<int>(first - channel),
          static_cast<int>(last - first)};
}

}  // namespace

std::string refuses(const gpu::BoxMap& map) {
  for (const int edge : map.box)
    if (edge < 1 || edge > 256) return "a box's edge is not in [1, 256]";
  if (map.box[0] * 2 > 128) return "a box's row is longer than the swizzle";
  return refuses_tensor(map.data, map.sizes, 3);
}

std::string refuses(const gpu::PixelMap& map) {
  for (const int corner : {map.lower_w, map.lower_h, map.upper_w, map.upper_h})
    if (corner < -128 || corner > 127) return "a corner of the pixels' box is not in [-128, 127]";
  if (map.pixels < 1 || map.pixels > 1024) return "not 1 to 1,024 pixels";
  for (const int step : {map.step_w, map.step_h})
    if (step < 1 || step > 8) return "a step is not in [1, 8]";
  if (map.lower_w > map.w - 1 + map.upper_w || map.lower_h > map.h - 1 + map.upper_h)
    return "the pixels' box is empty";
  const int64_t sizes[] = {map.c, map.w, map.h, map.n};
  return refuses_tensor(map.data, sizes, 4);
}

BoxRow row_of(const HostTensorMap& map, const BoxPlace& place, int row) {
  if (!map.is_pixels) {
    const gpu::BoxMap& b = map.boxes;
    const int64_t i = place.at[1] + row % b.box[1], j = place.at[2] + row / b.box[1];
    if (i < 0 || i >= b.sizes[1] || j < 0 || j >= b.sizes[2]) return {};
    return channels(b.data, (j * b.sizes[1] + i) * b.sizes[0], place.at[0], b.sizes[0]);
  }
  // The list goes on from where it begins: w first, then h, then n.
  const gpu::PixelMap& p = map.pixels;
  int64_t w = place.at[1], h = place.at[2], n = place.at[3];
  for (int i = 0; i < row; ++i) {
    if ((w += p.step_w) <= p.w - 1 + p.upper_w) continue;
    w = p.lower_w;
    if ((h += p.step_h) <= p.h - 1 + p.upper_h) continue;
    h = p.lower_h, ++n;
  }
  w += place.offset_w, h += place.offset_h;
  if (w < 0 || w >= p.w || h < 0 || h >= p.h || n < 0 || n >= p.n) return {};
  return channels(p.data, ((n * p.h + h) * p.w + w) * p.c, place.at[0], p.c);
}

}  // namespace graft::cuda::emulator
