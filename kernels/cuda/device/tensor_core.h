// Instructions of tensor cores, sm_80 and later: 8 x 8 matrices out of shared memory (ldmatrix),
// products (mma.sync.m16n8k16) and copies to shared memory that run beside the block (cp.async). On
// the GPU they are PTX; on the emulator, models of it. Which lane holds what: PTX ISA, "Matrix
// fragments for mma.m16n8k16 with floating point type" and "ldmatrix".
#pragma once
#include "graft/kernels/cuda/device/element.h"
#include "graft/kernels/cuda/device/span.h"

namespace graft::cuda {

// With g = lane / 4 and i = lane % 4; each register holds two 16-bit elements, the first in its low
// half.
struct FragmentA {  // A [16, 16]: (g, 2i), (g + 8, 2i), (g, 2i + 8), (g + 8, 2i + 8) and the
                    // columns behind them
  uint32_t v[4];
};
struct FragmentB {  // B [16, 8]: (2i, g), (2i + 8, g) and the rows behind them
  uint32_t v[2];
};
struct FragmentC {  // C [16, 8]: (g, 2i), (g, 2i + 1), (g + 8, 2i), (g + 8, 2i + 1)
  float v[4];
};
// Four 8 x 8 matrices: of each, the lane holds (g, 2i) and (g, 2i + 1); transposed, (2i, g) and (2i
// + 1, g).
struct Matrices {
  uint32_t v[4];
};

// Eight 16-bit elements: a row of such a matrix.
template <class T>
using MatrixRow = Group<T, 8>;

}  // namespace graft::cuda

#if GRAFT_EMULATED
#include "graft/kernels/cuda/emulator/tensor_core.h"
#else
#include "graft/kernels/cuda/device/thread.h"

namespace graft::cuda {

// Lane l gives the place of row l % 8 of matrix l / 8. All lanes of the warp take part.
template <bool transposed, class T>
__device__ __forceinline__ Matrices load_matrices(Thread&, const Shared<MatrixRow<T> >& shared,
                                                  int row) {
  Matrices m;
  const uint32_t address = shared.address(row);
  if constexpr (transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(m.v[0]), "=r"(m.v[1]), "=r"(m.v[2]), "=r"(m.v[3])
                 : "r"(address)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(m.v[0]), "=r"(m.v[1]), "=r"(m.v[2]), "=r"(m.v[3])
                 : "r"(address)
                 : "memory");
  return m;
}

// c += a * b, summed in float32; T (bfloat16 or float16) is the type of both. All lanes of the warp
// take part.
template <class T>
__device__ __forceinline__ void multiply(Thread&, const FragmentA& a, const FragmentB& b,
                                         FragmentC& c) {
  if constexpr (std::is_same_v<T, bfloat16>)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c.v[0]), "+f"(c.v[1]), "+f"(c.v[2]), "+f"(c.v[3])
        : "r"(a.v[0]), "r"(a.v[1]), "r"(a.v[2]), "r"(a.v[3]), "r"(b.v[0]), "r"(b.v[1]));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c.v[0]), "+f"(c.v[1]), "+f"(c.v[2]), "+f"(c.v[3])
        : "r"(a.v[0]), "r"(a.v[1]), "r"(a.v[2]), "r"(a.v[3]), "r"(b.v[0]), "r"(b.v[1]));
}

// Begins copying the 16 bytes at element `at` of `from` (a multiple of 8) to row `to`; zeros where
// at < 0. They are there once the thread has waited, and for other threads after the barrier behind
// that.
template <class T>
__device__ __forceinline__ void copy_async(Thread&, const Shared<MatrixRow<T> >& shared, int to,
                                           const Span<const T>& from, int64_t at) {
  const int bytes = at < 0 ? 0 : 16;  // what is missing is filled with zeros
  const void* const source = from.template group_address<8>(at < 0 ? 0 : at);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared.address(to)),
               "l"(source), "r"(bytes)
               : "memory");
}
// Ends a group of copies, which may be empty.
__device__ __forceinline__ void end_copy_group(Thread&) {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Waits for the thread's own copies, but for those of its last `left` groups.
template <int left>
__device__ __forceinline__ void wait_for_copies(Thread&) {
  asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory");
}

}  // namespace graft::cuda
#endif
