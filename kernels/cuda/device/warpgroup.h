// Instructions of sm_90a: copies of boxes by the copy engine (TMA), mbarriers that say when they
// are there, and products of a warpgroup (four warps, 128 threads) straight out of shared memory
// (wgmma). On the GPU they are PTX; on the emulator, models of it that do everything as late as it
// may be done.
#pragma once
#include "graft/kernels/cuda/device/element.h"
#include "graft/kernels/cuda/device/span.h"
#include "graft/kernels/cuda/device/tensor_core.h"
#include "graft/kernels/cuda/gpu/tensor_map.h"

namespace graft::cuda {

// A thread's share of the sums [64, columns] of its warpgroup. With w = warp % 4, g = lane / 4 and
// i = lane % 4: v[4 j + k] stands in row 16 w + g + 8 (k / 2) and column 8 j + 2 i + k % 2 (PTX
// ISA, "Register fragments for wgmma.m64nNk16", D).
template <int columns>
struct WarpgroupSums {
  float v[columns / 2];
};

// Where 16 steps of an operand lie: a tile in rows of 128 bytes with the 128-byte swizzle, eight
// rows to each 1,024 bytes (PTX ISA, "Matrix descriptor format"). Addresses are those of shared
// memory.
struct OperandPlace {
  // A line's steps are neighbours: rows are lines. Steps 16 i are 32 i bytes behind the first.
  GRAFT_HD static uint64_t lines(uint32_t address) { return descriptor(address, 16, 1024); }
  // A step's lines are neighbours: rows are steps, 64 lines each. Steps 16 i are 2,048 i bytes
  // behind the first, and lines 64 i are `apart` i bytes behind.
  GRAFT_HD static uint64_t steps(uint32_t address, uint32_t apart) {
    return descriptor(address, apart, 1024);
  }

 private:
  GRAFT_HD static uint64_t descriptor(uint32_t address, uint32_t leading, uint32_t stride) {
    return static_cast<uint64_t>(address >> 4 & 0x3fffu) |
           static_cast<uint64_t>(leading >> 4 & 0x3fffu) << 16 |
           static_cast<uint64_t>(stride >> 4 & 0x3fffu) << 32 | uint64_t{1} << 62;
  }
};

// Channels from c on of the pixels from (w, h, n) on, each looked at offset_w and offset_h (from 0
// to 255) further.
struct PixelPlace {
  int c, w, h, n, offset_w, offset_h;
};

// An mbarrier lies in eight bytes of shared memory.
using Barriers = Shared<uint64_t>;

}  // namespace graft::cuda

#if GRAFT_EMULATED
#include "graft/kernels/cuda/emulator/warpgroup.h"
#else

namespace graft::cuda {

// Barrier i ends a phase when `arrivals` threads arrived and the bytes that they said to expect
// came.
__device__ __forceinline__ void init_barrier(Thread&, const Barriers& barriers, int i,
                                             int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barriers.address(i)), "r"(arrivals)
               : "memory");
}
// After the thread's last init_barrier(), before a barrier of the block: the copy engine may use
// them then.
__device__ __forceinline__ void publish_barriers(Thread&) {
  asm volatile("fence.mbarrier_init.release.cluster;\n\tfence.proxy.async.shared::cta;" ::
                   : "memory");
}
__device__ __forceinline__ void arrive(Thread&, const Barriers& barriers, int i) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barriers.address(i)) : "memory");
}
// Arrives, and the phase also waits for this many bytes.
__device__ __forceinline__ void arrive_expecting(Thread&, const Barriers& barriers, int i,
                                                 int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barriers.address(i)),
               "r"(bytes)
               : "memory");
}
// Until the phase of this parity is over: 0 is the first, 1 the second, 0 the third; never two
// phases late.
__device__ __forceinline__ void wait_for_phase(Thread&, const Barriers& barriers, int i,
                                               int parity) {
  const uint32_t address = barriers.address(i);
  uint32_t over = 0;
  do {
    asm volatile(
        "{\n\t.reg .pred over;\n\tmbarrier.try_wait.parity.shared::cta.b64 over, [%1], "
        "%2;\n\tselp.b32 %0, 1, 0, over;\n\t}"
        : "=r"(over)
        : "r"(address), "r"(parity)
        : "memory");
  } while (!over);
}
// What the thread wrote to shared memory may be read by products and overwritten by the copy
// engine, after a barrier.
__device__ __forceinline__ void fence_proxy(Thread&) {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// Fetches a map before it is used.
__device__ __forceinline__ void prefetch_map(Thread&, const gpu::TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}
// Begins copying the box at (x, y, z) of a BoxMap to rows from `to` (at 1,024 bytes) on; its bytes
// count for barrier i. One thread.
template <class T>
__device__ __forceinline__ void copy_box(Thread&, const gpu::TensorMap& map,
                                         const Barriers& barriers, int i,
                                         const Shared<MatrixRow<T> >& shared, int to, int x, int y,
                                         int z) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, "
      "%4, %5}], [%2];" ::"r"(shared.address(to)),
      "l"(&map), "r"(barriers.address(i)), "r"(x), "r"(y), "r"(z)
      : "memory");
}
// The same of a PixelMap.
template <class T>
__device__ __forceinline__ void copy_pixels(Thread&, const gpu::TensorMap& map,
                                            const Barriers& barriers, int i,
                                            const Shared<MatrixRow<T> >& shared, int to,
                                            const PixelPlace& at) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%0], "
      "[%1, {%3, %4, %5, %6}], [%2], {%7, %8};" ::"r"(shared.address(to)),
      "l"(&map), "r"(barriers.address(i)), "r"(at.c), "r"(at.w), "r"(at.h), "r"(at.n),
      "h"(static_cast<uint16_t>(at.offset_w)), "h"(static_cast<uint16_t>(at.offset_h))
      : "memory");
}

// The compiler may not move what it does with the sums over this.
template <int columns>
__device__ __forceinline__ void pin(WarpgroupSums<columns>& sums) {
  GRAFT_UNROLL
  for (int i = 0; i < columns / 2; ++i) asm volatile("" : "+f"(sums.v[i])::"memory");
}
// Before the first product of a group: the registers of sums are as the program left them.
template <int columns>
__device__ __forceinline__ void fence_products(Thread&, WarpgroupSums<columns>& sums) {
  pin(sums);
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void end_product_group(Thread&) {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Waits for the warpgroup's products, but for those of its last `left` groups. Sums that no product
// is under way for may be looked at then.
template <int left, int columns>
__device__ __forceinline__ void wait_for_products(Thread&, WarpgroupSums<columns>& sums) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(left) : "memory");
  pin(sums);
}

#define GRAFT_SUMS_32_NAMES                                                \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define GRAFT_SUMS_64_NAMES                                                          \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "           \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define GRAFT_SUMS_8(v, i)                                                                      \
  "+f"((v)[i]), "+f"((v)[(i) + 1]), "+f"((v)[(i) + 2]), "+f"((v)[(i) + 3]), "+f"((v)[(i) + 4]), \
      "+f"((v)[(i) + 5]), "+f"((v)[(i) + 6]), "+f"((v)[(i) + 7])
#define GRAFT_SUMS_32(v, i) \
  GRAFT_SUMS_8(v, i), GRAFT_SUMS_8(v, (i) + 8), GRAFT_SUMS_8(v, (i) + 16), GRAFT_SUMS_8(v, (i) + 24)
#define GRAFT_SUMS_64(v, i) GRAFT_SUMS_32(v, i), GRAFT_SUMS_32(v, (i) + 32)
#define GRAFT_PRODUCT(n, type, registers, a_, b_, a_steps, b_steps)                            \
  asm volatile(                                                                                \
      "{\n\t.reg .pred add;\n\tsetp.eq.u32 add, 1, 1;\n\twgmma.mma_async.sync.aligned.m64n" #n \
      "k16.f32." type "." type " {" GRAFT_SUMS_##registers##_NAMES                             \
      "}, %" a_ ", %" b_ ", add, 1, 1, %" a_steps ", %" b_steps ";\n\t}"                       \
      : GRAFT_SUMS_##registers(sums.v, 0)                                                      \
      : "l"(a), "l"(b), "n"(static_cast<int>(a_by_steps)), "n"(static_cast<int>(b_by_steps)))

// Begins sums += A [64, 16] * B [16, columns], summed in float32; T (bfloat16 or float16) is the
// type of both. a and b are OperandPlace's; *_by_steps: by steps(). All threads of the warpgroup
// take part.
template <class T, bool a_by_steps, bool b_by_steps, int columns>
__device__ __forceinline__ void begin_product(Thread&, uint64_t a, uint64_t b,
                                              WarpgroupSums<columns>& sums) {
  static_assert(columns == 64 || columns == 128);
  constexpr bool is_bf16 = std::is_same_v<T, bfloat16>;
  if constexpr (columns == 64 && is_bf16)
    GRAFT_PRODUCT(64, "bf16", 32, "32", "33", "34", "35");
  else if constexpr (columns == 64)
    GRAFT_PRODUCT(64, "f16", 32, "32", "33", "34", "35");
  else if constexpr (is_bf16)
    GRAFT_PRODUCT(128, "bf16", 64, "64", "65", "66", "67");
  else
    GRAFT_PRODUCT(128, "f16", 64, "64", "65", "66", "67");
}

#undef GRAFT_PRODUCT
#undef GRAFT_SUMS_8
#undef GRAFT_SUMS_32
#undef GRAFT_SUMS_64
#undef GRAFT_SUMS_32_NAMES
#undef GRAFT_SUMS_64_NAMES

}  // namespace graft::cuda
#endif
