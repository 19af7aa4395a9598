# Fuzz targets (tests/fuzz/<name>.cpp, each one executable fuzz_<name>) and the part of the library that they need, built
# once more with sanitizers. Clang only; tools/fuzz.sh configures, builds and runs them.
if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "GRAFT_BUILD_FUZZERS needs clang++ (libFuzzer); CMAKE_CXX_COMPILER is ${CMAKE_CXX_COMPILER}")
endif()

# Unsigned wrap-around is defined and used on purpose.
add_library(graft_fuzz_flags INTERFACE)
target_compile_options(graft_fuzz_flags INTERFACE -O2 -g1 -fno-omit-frame-pointer
  -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
target_compile_definitions(graft_fuzz_flags INTERFACE FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
target_include_directories(graft_fuzz_flags INTERFACE ${graft_include_root})
target_link_libraries(graft_fuzz_flags INTERFACE Threads::Threads ZLIB::ZLIB JPEG::JPEG nlohmann_json::nlohmann_json)

file(GLOB_RECURSE graft_fuzzed_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/*.cpp ${PROJECT_SOURCE_DIR}/io/*.cpp)
add_library(graft_fuzzed STATIC EXCLUDE_FROM_ALL ${graft_fuzzed_sources}
  ${PROJECT_SOURCE_DIR}/models/architecture_json.cpp ${PROJECT_SOURCE_DIR}/models/card.cpp ${PROJECT_SOURCE_DIR}/models/description.cpp ${PROJECT_SOURCE_DIR}/models/graph/graph_json.cpp
  ${PROJECT_SOURCE_DIR}/train/checkpoint.cpp ${PROJECT_SOURCE_DIR}/train/metrics.cpp)
target_link_libraries(graft_fuzzed PUBLIC graft_fuzz_flags)
graft_use_image_libraries(graft_fuzzed)

# What an imported graph needs beside that.
file(GLOB_RECURSE graft_fuzzed_networks_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/ops/*.cpp
  ${PROJECT_SOURCE_DIR}/kernels/reference/*.cpp ${PROJECT_SOURCE_DIR}/layers/functional/*.cpp ${PROJECT_SOURCE_DIR}/layers/modules/*.cpp
  ${PROJECT_SOURCE_DIR}/models/aten/*.cpp ${PROJECT_SOURCE_DIR}/models/graph/*.cpp
  ${PROJECT_SOURCE_DIR}/models/keras/*.cpp ${PROJECT_SOURCE_DIR}/models/tensorflow/*.cpp)
list(FILTER graft_fuzzed_networks_sources EXCLUDE REGEX "graph_(json|import|unfold|export)\\.cpp|(classifier_search|opset_raise|keras_import|tensorflow_import)\\.cpp")
add_library(graft_fuzzed_networks STATIC EXCLUDE_FROM_ALL ${graft_fuzzed_networks_sources} ${PROJECT_SOURCE_DIR}/kernels/registry.cpp
  ${PROJECT_SOURCE_DIR}/models/preprocess_guess.cpp
  ${PROJECT_SOURCE_DIR}/models/naming/keras_layers.cpp ${PROJECT_SOURCE_DIR}/models/naming/keras_images.cpp
  ${PROJECT_SOURCE_DIR}/models/naming/permuted.cpp
  ${PROJECT_SOURCE_DIR}/tests/fuzz/engine/no_cpu_kernels.cpp)
target_link_libraries(graft_fuzzed_networks PUBLIC graft_fuzzed)
set_target_properties(graft_fuzzed graft_fuzzed_networks PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 10)

add_custom_target(fuzzers)
file(GLOB fuzz_targets CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/*.cpp)
list(FILTER fuzz_targets EXCLUDE REGEX "_test\\.cpp$")
foreach(source IN LISTS fuzz_targets)
  get_filename_component(name ${source} NAME_WE)
  add_executable(fuzz_${name} EXCLUDE_FROM_ALL ${source})
  target_link_libraries(fuzz_${name} PRIVATE graft_fuzzed)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer,address,undefined)
  set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  add_dependencies(fuzzers fuzz_${name})
endforeach()
target_link_libraries(fuzz_graph PRIVATE graft_fuzzed_networks)
target_link_libraries(fuzz_exported PRIVATE graft_fuzzed_networks)
target_link_libraries(fuzz_keras PRIVATE graft_fuzzed_networks)
target_link_libraries(fuzz_saved_model PRIVATE graft_fuzzed_networks)
target_link_libraries(fuzz_tflite PRIVATE graft_fuzzed_networks)
