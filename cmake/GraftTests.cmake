# Tests mirror the tree. One executable per top-level folder of tests/, so that a change relinks little.
find_package(GTest REQUIRED)

# ctest runs a program once for each of its suites, not once a test: starting it and reading golden values is paid once.
# GoogleTest names the tests that fail, and test.sh counts them.
function(graft_discover_suites program prefix)
  set(found ${CMAKE_CURRENT_BINARY_DIR}/${program}_suites.cmake)
  add_custom_command(TARGET ${program} POST_BUILD BYPRODUCTS ${found} VERBATIM
    COMMAND ${CMAKE_COMMAND} -D program=$<TARGET_FILE:${program}> -D prefix=${prefix}. -D folder=${CMAKE_CURRENT_BINARY_DIR}
      -D output=${found} -P ${PROJECT_SOURCE_DIR}/cmake/DiscoverSuites.cmake)
  # A program that was not built is no failure of those that were.
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${program}_tests.cmake "include([=[${found}]=] OPTIONAL)\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${CMAKE_CURRENT_BINARY_DIR}/${program}_tests.cmake)
endfunction()

# What nearly every test includes is parsed once: a fifth of a test's compile time. Sources include it all the same.
set(graft_test_headers <gtest/gtest.h> <algorithm> <array> <cmath> <filesystem> <fstream> <functional> <limits> <map> <memory> <optional>
  <set> <sstream> <string> <thread> <variant> <vector>)
list(TRANSFORM graft_test_headers REPLACE "(.+)" "$<$<COMPILE_LANGUAGE:CXX>:\\1>")
function(graft_precompile_test_headers program)
  if(program STREQUAL "test_core")
    target_precompile_headers(test_core PRIVATE ${graft_test_headers})
  else()
    target_precompile_headers(${program} REUSE_FROM test_core)
  endif()
endfunction()

file(GLOB_RECURSE graft_test_support CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/support/*.cpp)
add_library(graft_test_support STATIC ${graft_test_support})
set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/support/hostile_archives.cpp ${PROJECT_SOURCE_DIR}/tests/support/hostile_weights.cpp
  ${PROJECT_SOURCE_DIR}/tests/support/hostile_graphs.cpp ${PROJECT_SOURCE_DIR}/tests/support/hostile_samples.cpp ${PROJECT_SOURCE_DIR}/tests/support/hostile_exports.cpp
  ${PROJECT_SOURCE_DIR}/tests/support/hostile_descriptions.cpp
  PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)  # tables of the same short names
target_link_libraries(graft_test_support PUBLIC graft graft_flags GTest::gtest nlohmann_json::nlohmann_json ZLIB::ZLIB)
# Tests are compiled more often than they run; the library stays optimised. With sanitizers -O1 takes about twice as long as -O0.
target_compile_options(graft_test_support PUBLIC ${graft_quick_build})
target_compile_definitions(graft_test_support PUBLIC
  GRAFT_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data" GRAFT_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
  GRAFT_COMMAND="${PROJECT_BINARY_DIR}/bin/graft" GRAFT_COMPILER="${CMAKE_CXX_COMPILER}")

# The CUDA kernels' sources as plain C++, on the emulator. In a build with CUDA the same names belong to the real ones.
if(NOT GRAFT_HAS_CUDA)
  add_library(graft_cuda_emulated STATIC ${graft_cuda_sources})
  target_link_libraries(graft_cuda_emulated PUBLIC graft graft_flags ${CMAKE_DL_LIBS})
  target_compile_options(graft_cuda_emulated PRIVATE -O1)  # many kernels for many types; shapes are small
  file(GLOB cuda_test_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/kernels/cuda/*.cpp)
  add_executable(test_cuda ${cuda_test_sources} ${PROJECT_SOURCE_DIR}/benchmarks/gpu/memory_rows.cpp ${PROJECT_SOURCE_DIR}/benchmarks/gpu/convolution_rows.cpp)
  set_target_properties(test_cuda PROPERTIES UNITY_BUILD OFF)
  target_link_libraries(test_cuda PRIVATE graft_cuda_emulated graft_test_support GTest::gtest_main)
  # A driver library without a GPU, for cuDNN to load while it builds plans for a described one.
  enable_language(C)
  add_library(graft_driver_stub SHARED ${PROJECT_SOURCE_DIR}/tests/support/driver_stub/libcuda.c)
  set_target_properties(graft_driver_stub PROPERTIES OUTPUT_NAME cuda SOVERSION 1 LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/driver_stub)
  add_dependencies(test_cuda graft_driver_stub)
  target_compile_definitions(test_cuda PRIVATE GRAFT_DRIVER_STUB="$<TARGET_FILE:graft_driver_stub>")
  # What cuDNN makes of graft's convolutions: tools/cudnn_survey.sh. Not part of the tests.
  add_executable(cudnn_survey EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/conformance/cudnn_survey.cpp
    ${PROJECT_SOURCE_DIR}/tests/kernels/cuda/conv_layers.cpp)
  add_dependencies(cudnn_survey graft_driver_stub)
  target_compile_definitions(cudnn_survey PRIVATE GRAFT_DRIVER_STUB="$<TARGET_FILE:graft_driver_stub>")
  target_link_libraries(cudnn_survey PRIVATE graft_cuda_emulated graft_flags)
  graft_discover_suites(test_cuda cuda)
  # Whole training runs on the emulated device.
  file(GLOB device_test_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/train/device/*.cpp)
  add_executable(test_device ${device_test_sources} ${PROJECT_SOURCE_DIR}/tests/kernels/cuda/device_check.cpp
    ${PROJECT_SOURCE_DIR}/tests/kernels/cuda/emulated_device.cpp)
  set_target_properties(test_device PROPERTIES UNITY_BUILD OFF)
  target_link_libraries(test_device PRIVATE graft_cuda_emulated graft_test_support GTest::gtest_main)
  graft_discover_suites(test_device device)
endif()

foreach(area core kernels layers io models train tools api capi)
  file(GLOB_RECURSE area_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${area}/*_test.cpp)
  list(FILTER area_sources EXCLUDE REGEX "/tests/(kernels/cuda|train/device)/")
  if(area_sources)
    add_executable(test_${area} ${area_sources})
    set_target_properties(test_${area} PROPERTIES UNITY_BUILD OFF)
    target_link_libraries(test_${area} PRIVATE graft_test_support GTest::gtest_main)
    graft_precompile_test_headers(test_${area})
    graft_discover_suites(test_${area} ${area})
    if(area STREQUAL "tools" AND TARGET graft_command)
      add_dependencies(test_${area} graft_command)
      target_link_libraries(test_${area} PRIVATE graft_verbs)
    endif()
  endif()
endforeach()

# The C API's callers: C99 without a warning, whatever the build asks for.
enable_language(C)
target_sources(test_capi PRIVATE ${PROJECT_SOURCE_DIR}/tests/capi/calls.c)
set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/capi/calls.c PROPERTIES
  COMPILE_OPTIONS "-std=c99;-Wall;-Wextra;-Wpedantic;-Werror" SKIP_PRECOMPILE_HEADERS ON)

# The HDF5 reader's sandbox alone, and a program that tries to get out of it. Without graft_flags, so without sanitizers, whose own
# system calls would be in the way.
add_executable(graft_try_sandbox ${PROJECT_SOURCE_DIR}/tests/tools/sandbox/try_calls.cpp ${PROJECT_SOURCE_DIR}/tools/hdf5/sandbox.cpp)
set_target_properties(graft_try_sandbox PROPERTIES UNITY_BUILD OFF)
target_include_directories(graft_try_sandbox PRIVATE $<TARGET_PROPERTY:graft,INTERFACE_INCLUDE_DIRECTORIES>)
target_compile_definitions(test_tools PRIVATE GRAFT_TRY_SANDBOX="$<TARGET_FILE:graft_try_sandbox>")
add_dependencies(test_tools graft_try_sandbox)

# The seeds of the fuzz targets (tests/fuzz), run once each: all targets in one program.
file(GLOB fuzz_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/*.cpp)
add_executable(test_fuzz ${fuzz_sources})
set_target_properties(test_fuzz PROPERTIES UNITY_BUILD OFF)
target_compile_definitions(test_fuzz PRIVATE GRAFT_FUZZ_REPLAY)
target_link_libraries(test_fuzz PRIVATE graft_test_support GTest::gtest_main)
graft_precompile_test_headers(test_fuzz)
graft_discover_suites(test_fuzz fuzz)

# Runs ONNX's own test cases from a folder: tests/conformance/run_node_cases.py. Not part of the tests.
add_executable(onnx_cases EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/conformance/onnx_cases.cpp)
target_link_libraries(onnx_cases PRIVATE graft_test_support)
# Gradients of a graph for comparison with PyTorch: tests/conformance/run_gradients.py.
add_executable(graph_gradients EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/conformance/graph_gradients.cpp)
target_link_libraries(graph_gradients PRIVATE graft graft_flags)

# Memory and threads that cannot be had, in a preloaded library; sanitizers have an allocator of their own.
if(TARGET graft_command AND NOT GRAFT_SANITIZE)
  enable_language(C)
  add_library(graft_failing_memory SHARED ${PROJECT_SOURCE_DIR}/tests/faults/failing_memory.c)
  set_target_properties(graft_failing_memory PROPERTIES UNITY_BUILD OFF LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/faults)
  target_link_libraries(graft_failing_memory PRIVATE ${CMAKE_DL_LIBS})
  add_library(graft_failing_io SHARED ${PROJECT_SOURCE_DIR}/tests/faults/failing_io.c)
  set_target_properties(graft_failing_io PROPERTIES UNITY_BUILD OFF LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/faults)
  target_link_libraries(graft_failing_io PRIVATE ${CMAKE_DL_LIBS})
  # The program loaded once and forked for each case, for the drivers that start it thousands of times.
  add_library(graft_many_starts SHARED ${PROJECT_SOURCE_DIR}/tests/faults/many_starts.c)
  set_target_properties(graft_many_starts PROPERTIES UNITY_BUILD OFF LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/faults)
  target_link_libraries(graft_many_starts PRIVATE ${CMAKE_DL_LIBS})
endif()
# Instructions of fixed workloads beside a table: tools/instruction_counts.sh, which leaves with 77 where counts mean nothing.
file(GLOB instruction_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/instructions/*.cpp)
add_executable(instruction_workloads ${instruction_sources})
set_target_properties(instruction_workloads PROPERTIES UNITY_BUILD OFF)
file(REAL_PATH "${JPEG_LIBRARIES}" graft_jpeg_library)
cmake_path(GET graft_jpeg_library FILENAME graft_jpeg_library)
string(JOIN " " graft_compiler ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_SYSTEM_PROCESSOR} ${CMAKE_BUILD_TYPE})
if(CMAKE_UNITY_BUILD)
  string(APPEND graft_compiler " unity ${CMAKE_UNITY_BUILD_BATCH_SIZE}")
endif()
if(GRAFT_SANITIZE)
  string(APPEND graft_compiler " sanitized")
endif()
target_compile_definitions(instruction_workloads PRIVATE GRAFT_COMPILER="${graft_compiler}" GRAFT_JPEG_LIBRARY="${graft_jpeg_library}")
target_link_libraries(instruction_workloads PRIVATE graft graft_flags JPEG::JPEG)
if(TARGET graft_command)
  add_test(NAME tools.instruction_counts COMMAND ${PROJECT_SOURCE_DIR}/tools/instruction_counts.sh ${PROJECT_BINARY_DIR})
  set_tests_properties(tools.instruction_counts PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
  # Bits of small training runs beside a table: tools/golden_runs.sh, which leaves with 77 where sums mean nothing.
  add_test(NAME tools.golden_runs COMMAND ${PROJECT_SOURCE_DIR}/tools/golden_runs.sh ${PROJECT_BINARY_DIR})
  set_tests_properties(tools.golden_runs PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
endif()

find_program(GRAFT_PYTHON3 python3)
if(GRAFT_PYTHON3)
  if(TARGET graft_failing_memory)
    add_test(NAME faults.failing_memory COMMAND ${GRAFT_PYTHON3} ${PROJECT_SOURCE_DIR}/tests/faults/failing_memory.py
      $<TARGET_FILE:graft_command> $<TARGET_FILE:graft_failing_memory> --points 500 --starts $<TARGET_FILE:graft_many_starts>)
    set_tests_properties(faults.failing_memory PROPERTIES TIMEOUT 600)
    # A few points of each; tools/nightly.sh runs the whole.
    add_test(NAME faults.io_faults COMMAND ${GRAFT_PYTHON3} ${PROJECT_SOURCE_DIR}/tests/faults/io_faults.py
      $<TARGET_FILE:graft_command> $<TARGET_FILE:graft_failing_io> --points 3 --starts $<TARGET_FILE:graft_many_starts>)
    add_test(NAME faults.random_kills COMMAND ${GRAFT_PYTHON3} ${PROJECT_SOURCE_DIR}/tests/faults/random_kills.py
      $<TARGET_FILE:graft_command> --kills 2)
    add_test(NAME faults.mutations COMMAND ${GRAFT_PYTHON3} ${PROJECT_SOURCE_DIR}/tests/faults/mutations.py
      $<TARGET_FILE:graft_command> --count 580 --starts $<TARGET_FILE:graft_many_starts>)
    add_test(NAME faults.many_starts COMMAND ${GRAFT_PYTHON3} ${PROJECT_SOURCE_DIR}/tests/faults/many_starts.py
      $<TARGET_FILE:graft_command> $<TARGET_FILE:graft_many_starts> --memory $<TARGET_FILE:graft_failing_memory> --io $<TARGET_FILE:graft_failing_io>)
    add_test(NAME faults.determinism COMMAND ${GRAFT_PYTHON3} ${PROJECT_SOURCE_DIR}/tests/faults/determinism.py
      $<TARGET_FILE:graft_command> --configurations 2 --variants 4)
    add_test(NAME faults.ram_peaks COMMAND ${GRAFT_PYTHON3} ${PROJECT_SOURCE_DIR}/tests/faults/ram_peaks.py $<TARGET_FILE:graft_command>)
    set_tests_properties(faults.io_faults faults.random_kills faults.mutations faults.many_starts faults.determinism faults.ram_peaks PROPERTIES
      TIMEOUT 600 SKIP_REGULAR_EXPRESSION "SKIPPED")
  else()
    # Listed as skipped: an address sanitizer's allocator cannot be preloaded over, and says "out of memory" by itself.
    add_test(NAME faults.failing_memory COMMAND ${CMAKE_COMMAND} -E echo "SKIPPED: the sanitizers bring their own allocator")
    set_tests_properties(faults.failing_memory PROPERTIES SKIP_REGULAR_EXPRESSION "SKIPPED")
  endif()
  # The C API's list of symbols, and Python's ctypes on it. A static build's objects become a shared library for that.
  set(graft_shared graft)
  if(NOT BUILD_SHARED_LIBS)
    set(graft_shared graft_as_shared)
    add_library(graft_as_shared SHARED ${PROJECT_SOURCE_DIR}/tests/capi/as_shared.cpp)
    set_target_properties(graft_as_shared PROPERTIES UNITY_BUILD OFF)
    target_link_libraries(graft_as_shared PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,graft> graft_flags)
    target_link_options(graft_as_shared PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/capi/graft.map)
  endif()
  add_test(NAME capi.symbols COMMAND ${GRAFT_PYTHON3} ${PROJECT_SOURCE_DIR}/tools/check_c_symbols.py $<TARGET_FILE:${graft_shared}>)
  if(GRAFT_SANITIZE)
    add_test(NAME capi.ctypes COMMAND ${CMAKE_COMMAND} -E echo "SKIPPED: a sanitizer's runtime comes before Python")
  else()
    add_test(NAME capi.ctypes COMMAND ${GRAFT_PYTHON3} ${PROJECT_SOURCE_DIR}/tests/capi/ctypes_test.py $<TARGET_FILE:${graft_shared}>)
  endif()
  set_tests_properties(capi.ctypes PROPERTIES SKIP_REGULAR_EXPRESSION "SKIPPED")
  add_test(NAME tools.check_exports COMMAND ${GRAFT_PYTHON3} ${PROJECT_SOURCE_DIR}/tools/check_exports.py $<TARGET_FILE:graft>)
  add_test(NAME tools.report_browser COMMAND ${GRAFT_PYTHON3} ${PROJECT_SOURCE_DIR}/tests/tools/report_browser_test.py $<TARGET_FILE:graft_command>)
  set_tests_properties(tools.report_browser PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
  add_test(NAME tools.gpu_check COMMAND ${GRAFT_PYTHON3} ${PROJECT_SOURCE_DIR}/tests/tools/gpu_check_test.py)
endif()
if(NOT GRAFT_PYTHON3)
  add_test(NAME capi.ctypes COMMAND ${CMAKE_COMMAND} -E echo "SKIPPED: there is no python3")
  set_tests_properties(capi.ctypes PROPERTIES SKIP_REGULAR_EXPRESSION "SKIPPED")
endif()
# No program or library, as built or as installed, may look for libraries where others can put them.
if(TARGET graft_command)
  add_test(NAME tools.check_library_paths COMMAND ${PROJECT_SOURCE_DIR}/tools/check_library_paths.sh
    --install ${CMAKE_COMMAND} ${PROJECT_BINARY_DIR})
endif()
add_test(NAME tools.check_layers COMMAND ${PROJECT_SOURCE_DIR}/tools/check_layers.sh)
