// GRAFT_HD: functions that run on the host and on the device. nvcc compiles a kernel's source for
// the GPU; any C++ compiler compiles the same source for the emulator (GRAFT_EMULATED is 1 then).
#pragma once

#ifdef __CUDACC__
#define GRAFT_HD __host__ __device__ __forceinline__
#define GRAFT_EMULATED 0
#else
#define GRAFT_HD inline
#define GRAFT_EMULATED 1
#endif

// Before a loop, in device code: unroll it whole (arrays then stay in registers), four times (its
// loads are then in flight together), or not at all (less to compile).
#ifdef __CUDA_ARCH__
#define GRAFT_UNROLL _Pragma("unroll")
#define GRAFT_UNROLL_4 _Pragma("unroll 4")
#define GRAFT_NO_UNROLL _Pragma("unroll 1")
#else
#define GRAFT_UNROLL
#define GRAFT_UNROLL_4
#define GRAFT_NO_UNROLL
#endif
