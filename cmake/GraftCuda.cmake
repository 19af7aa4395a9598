# The CUDA backend, kernels/cuda. With GRAFT_CUDA its sources become part of libgraft, the .cu compiled by nvcc. Without it
# libgraft has none of it, and the tests build the same sources as plain C++ for the emulator (graft_cuda_emulated).
set(GRAFT_CUDA "OFF" CACHE STRING "CUDA backend: ON (an error without a toolkit), AUTO (when there is one) or OFF")
set_property(CACHE GRAFT_CUDA PROPERTY STRINGS AUTO ON OFF)

set(GRAFT_HAS_CUDA OFF)
if(NOT GRAFT_CUDA STREQUAL "OFF")
  find_package(CUDAToolkit 12)
  if(CUDAToolkit_FOUND AND CUDAToolkit_NVCC_EXECUTABLE)
    set(GRAFT_HAS_CUDA ON)
  elseif(GRAFT_CUDA STREQUAL "ON")
    message(FATAL_ERROR "GRAFT_CUDA is ON, but no CUDA toolkit (12 or later, with nvcc) was found; set CUDAToolkit_ROOT to where it is")
  endif()
endif()
message(STATUS "graft: CUDA backend ${GRAFT_HAS_CUDA}")

if(GRAFT_HAS_CUDA)
  # Machine code for Ampere and Hopper, and PTX that every later GPU compiles for itself.
  set(graft_ptx 90)
  if(CUDAToolkit_VERSION VERSION_GREATER_EQUAL 12.8)
    set(graft_ptx 100)
  endif()
  set(CMAKE_CUDA_ARCHITECTURES "80-real;90a-real;${graft_ptx}-virtual" CACHE STRING "GPUs to compile for")
  if(NOT CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE})
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 knows nvcc up to C++17
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  # ptxas -v tells of every kernel; tools/check_spills.sh reads it. With GRAFT_WERROR, warnings of nvcc, ptxas and the host compiler are
  # errors: on machines of others, with other compilers, they are not.
  target_compile_options(graft_flags INTERFACE
    "$<$<COMPILE_LANGUAGE:CUDA>:-Xptxas=-v;--expt-relaxed-constexpr;-Xcompiler=-Wall,-Wextra,-fvisibility=hidden>")
  if(GRAFT_WERROR)
    target_compile_options(graft_flags INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings;-Xcompiler=-Werror>")
  endif()
  # Kernels of sm_90a decline where no code was made for it (sm_90 alone is not enough).
  if("${CMAKE_CUDA_ARCHITECTURES}" MATCHES "90a")
    target_compile_options(graft_flags INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:-DGRAFT_SM90A>")
  endif()
endif()
