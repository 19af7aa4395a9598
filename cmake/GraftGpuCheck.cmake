# What tools/gpu_check.sh runs on a machine with a GPU: test_gpu, the CUDA kernels' tests on the device, and bench_gpu, the
# kernels' speed. Both start where there is no GPU, and say so.
if(NOT GRAFT_HAS_CUDA)
  message(FATAL_ERROR "GRAFT_GPU_CHECK needs GRAFT_CUDA=ON")
endif()
find_package(GTest REQUIRED)

# The tests of tests/kernels/cuda and tests/train/device but for those of the fakes, which know the emulator by name.
file(GLOB graft_gpu_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/kernels/cuda/*.cpp ${PROJECT_SOURCE_DIR}/tests/train/device/*.cpp)
foreach(source IN LISTS graft_gpu_tests)
  file(STRINGS ${source} of_the_fakes REGEX "^#include .*(emulated_device|failing_calls|emulator/|conv_layers|shared_library)")
  if(of_the_fakes)
    list(REMOVE_ITEM graft_gpu_tests ${source})
  endif()
endforeach()
file(GLOB graft_gpu_only CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/gpu/*.cpp)
file(GLOB graft_bench_rows CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/benchmarks/gpu/*_rows.cpp)
add_executable(test_gpu ${graft_gpu_tests} ${graft_bench_rows} ${graft_gpu_only} ${PROJECT_SOURCE_DIR}/tests/support/op_case.cpp
  ${PROJECT_SOURCE_DIR}/tests/support/dtype_cases.cpp ${PROJECT_SOURCE_DIR}/tests/support/onnx_case.cpp ${PROJECT_SOURCE_DIR}/tests/support/network_formula.cpp
  ${PROJECT_SOURCE_DIR}/tests/support/temporary_folder.cpp)
# Nothing hot on the host. Behind graft_flags, as in GraftTests.cmake: one compiler cache then serves both.
add_library(graft_gpu_check_flags INTERFACE)
target_compile_options(graft_gpu_check_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-O1>)
target_link_libraries(test_gpu PRIVATE graft graft_flags graft_gpu_check_flags GTest::gtest)
target_compile_definitions(test_gpu PRIVATE GRAFT_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")

add_executable(bench_gpu ${PROJECT_SOURCE_DIR}/benchmarks/gpu/main.cpp ${graft_bench_rows})
target_link_libraries(bench_gpu PRIVATE graft graft_flags graft_gpu_check_flags nlohmann_json::nlohmann_json)

foreach(program test_gpu bench_gpu)
  set_target_properties(${program} PROPERTIES UNITY_BUILD OFF RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endforeach()
