// The emulator's sm_90a: models of the instructions of device/warpgroup.h over AsyncMemory.
#pragma once
#include "graft/kernels/cuda/device/warpgroup.h"
#include "graft/kernels/cuda/emulator/block_run.h"

namespace graft::cuda {

namespace emulator {

// A matrix descriptor taken apart (PTX ISA, "Matrix descriptor format" and "Strides"); of swizzles,
// the one of 128 bytes.
struct OperandView {
  int64_t start, leading, stride;  // bytes
  bool by_steps;
  OperandView(BlockRun& run, uint64_t descriptor, bool by_steps_);
  // Where element (line, step) lies in shared memory.
  int64_t at(int line, int step) const {
    const int64_t plain =
        by_steps ? start + line / 64 * leading + step / 8 * stride + step % 8 * 128 + line % 64 * 2
                 : start + line / 8 * stride + line % 8 * 128 + step * 2;
    return plain ^ ((plain >> 7 & 7) << 4);
  }
  // Adds the 16-byte groups of `lines` lines and 16 steps.
  void add_groups(int lines, std::vector<int>& groups) const;
};
// All threads of the warpgroup meet with the same descriptors; gives what the product reads.
const ProductReads& meet_for_product(BlockRun& run, int thread, uint64_t a, bool a_by_steps,
                                     uint64_t b, bool b_by_steps, int columns);

}  // namespace emulator

inline void init_barrier(Thread& t, const Barriers& barriers, int i, int arrivals) {
  t.run().async().init_barrier(t.thread(), barriers.address(i), arrivals);
}
inline void publish_barriers(Thread& t) { t.run().async().publish_barriers(t.thread()); }
inline void arrive(Thread& t, const Barriers& barriers, int i) {
  t.run().async().arrive(t.thread(), barriers.address(i), 0);
}
inline void arrive_expecting(Thread& t, const Barriers& barriers, int i, int bytes) {
  t.run().async().arrive(t.thread(), barriers.address(i), bytes);
}
inline void wait_for_phase(Thread& t, const Barriers& barriers, int i, int parity) {
  t.run().wait_for_phase(t.thread(), barriers.address(i), parity);
}
inline void fence_proxy(Thread& t) { t.run().fence_proxy(t.thread()); }

inline void prefetch_map(Thread&, const gpu::TensorMap&) {}
template <class T>
void copy_box(Thread& t, const gpu::TensorMap& map, const Barriers& barriers, int i,
              const Shared<MatrixRow<T>>& shared, int to, int x, int y, int z) {
  const emulator::HostTensorMap there(map);
  if (there.is_pixels) t.run().fault(t.thread(), "copies a box by a map of pixels");
  t.run().async().copy_box(t.thread(), barriers.address(i), shared.address(to), there,
                           {{x, y, z, 0}});
}
template <class T>
void copy_pixels(Thread& t, const gpu::TensorMap& map, const Barriers& barriers, int i,
                 const Shared<MatrixRow<T>>& shared, int to, const PixelPlace& at) {
  const emulator::HostTensorMap there(map);
  if (!there.is_pixels) t.run().fault(t.thread(), "copies pixels by a map of boxes");
  for (const int offset : {at.offset_w, at.offset_h})
    if (offset < 0 || offset > 255)
      t.run().fault(t.thread(), "copies pixels with an offset outside of [0, 255]");
  t.run().async().copy_box(t.thread(), barriers.address(i), shared.address(to), there,
                           {{at.c, at.w, at.h, at.n}, at.offset_w, at.offset_h});
}

template <int columns>
void fence_products(Thread& t, WarpgroupSums<columns>&) {
  t.run().async().fence_products(t.thread());
}
inline void end_product_group(Thread& t) { t.run().async().end_product_group(t.thread()); }
template <int left, int columns>
void wait_for_products(Thread& t, WarpgroupSums<columns>&) {
  t.run().async().wait_for_products(t.thread(), left);
}

// The thread's sums of A * B, out of shared memory as it is when the product is executed.
template <class T, int columns>
void execute_product(emulator::BlockRun& run, int thread, const emulator::OperandView& a,
                     const emulator::OperandView& b, std::vector<float>& sums) {
  const auto value = [&](int64_t at) {
    T element;
    std::memcpy(&element, run.shared() + at, sizeof element);
    return to_float(element);
  };
  const int first_row = thread % 128 / 32 * 16 + thread % 32 / 4, first_column = thread % 4 * 2;
  float row[2][16];
  for (int half = 0; half < 2; ++half)
    for (int k = 0; k < 16; ++k) row[half][k] = value(a.at(first_row + 8 * half, k));
  for (int j = 0; j < columns / 8; ++j)
    for (int pair = 0; pair < 2; ++pair) {
      float column[16];
      for (int k = 0; k < 16; ++k) column[k] = value(b.at(8 * j + first_column + pair, k));
      for (int half = 0; half < 2; ++half) {
        float& sum = sums[static_cast<size_t>(4 * j + 2 * half + pair)];
        for (int k = 0; k < 16; ++k) sum += row[half][k] * column[k];
      }
    }
}

template <class T, bool a_by_steps, bool b_by_steps, int columns>
void begin_product(Thread& t, uint64_t a, uint64_t b, WarpgroupSums<columns>& sums) {
  emulator::BlockRun& run = t.run();
  const emulator::ProductReads& reads =
      emulator::meet_for_product(run, t.thread(), a, a_by_steps, b, b_by_steps, columns);
  const emulator::OperandView a_view(run, a, a_by_steps), b_view(run, b, b_by_steps);
  run.async().begin_product(
      t.thread(), sums.v, columns / 2,
      [&run, a_view, b_view, thread = t.thread()](std::vector<float>& hidden) {
        execute_product<T, columns>(run, thread, a_view, b_view, hidden);
      },
      reads);
}

}  // namespace graft::cuda
