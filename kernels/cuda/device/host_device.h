// GRAFT_HD: functions that run on the host and on the device. nvcc compiles a kernel's source for the GPU; any C++ compiler
// compiles the same source for the emulator (GRAFT_EMULATED is 1 then).
#pragma once

#ifdef __CUDACC__
#define GRAFT_HD __host__ __device__ __forceinline__
#define GRAFT_EMULATED 0
#else
#define GRAFT_HD inline
#define GRAFT_EMULATED 1
#endif
