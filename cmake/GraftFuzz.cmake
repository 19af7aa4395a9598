# Fuzz targets (tests/fuzz/<name>.cpp, each one executable fuzz_<name>) and the part of the library that they need, built
# once more with sanitizers. Clang only; tools/fuzz_smoke.sh configures, builds and runs them.
if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "GRAFT_BUILD_FUZZERS needs clang++ (libFuzzer); CMAKE_CXX_COMPILER is ${CMAKE_CXX_COMPILER}")
endif()

file(GLOB_RECURSE graft_fuzzed_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/*.cpp ${PROJECT_SOURCE_DIR}/io/*.cpp)
add_library(graft_fuzzed STATIC EXCLUDE_FROM_ALL ${graft_fuzzed_sources}
  ${PROJECT_SOURCE_DIR}/models/architecture_json.cpp ${PROJECT_SOURCE_DIR}/models/card.cpp ${PROJECT_SOURCE_DIR}/models/graph/graph_json.cpp
  ${PROJECT_SOURCE_DIR}/train/checkpoint.cpp ${PROJECT_SOURCE_DIR}/train/metrics.cpp)
target_include_directories(graft_fuzzed PUBLIC ${graft_include_root})
target_link_libraries(graft_fuzzed PUBLIC Threads::Threads ZLIB::ZLIB JPEG::JPEG nlohmann_json::nlohmann_json)
# -O1: the whole build has to fit into a smoke test. Unsigned wrap-around is defined and used on purpose.
target_compile_options(graft_fuzzed PUBLIC -O1 -g1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined
  -fno-sanitize-recover=all)
target_compile_definitions(graft_fuzzed PUBLIC FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)

add_custom_target(fuzzers)
file(GLOB fuzz_targets CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/*.cpp)
foreach(source IN LISTS fuzz_targets)
  get_filename_component(name ${source} NAME_WE)
  add_executable(fuzz_${name} EXCLUDE_FROM_ALL ${source})
  target_link_libraries(fuzz_${name} PRIVATE graft_fuzzed)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer,address,undefined)
  set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  add_dependencies(fuzzers fuzz_${name})
endforeach()
