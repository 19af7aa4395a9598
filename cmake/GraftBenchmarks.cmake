# Micro-benchmarks of single ops (Google Benchmark, JSON with --benchmark_format=json).
find_package(benchmark REQUIRED)
file(GLOB graft_benchmarks CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/benchmarks/*.cpp)
foreach(source IN LISTS graft_benchmarks)
  get_filename_component(name ${source} NAME_WE)
  add_executable(bench_${name} ${source})
  target_link_libraries(bench_${name} PRIVATE graft graft_flags benchmark::benchmark)
endforeach()
