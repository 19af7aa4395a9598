# The graft command.
find_package(CLI11 REQUIRED)
file(GLOB_RECURSE graft_tool_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/*.cpp)
if(graft_tool_sources)
  add_executable(graft_command ${graft_tool_sources})
  set_target_properties(graft_command PROPERTIES OUTPUT_NAME graft RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  target_compile_definitions(graft_command PRIVATE GRAFT_VERSION="${PROJECT_VERSION}")
  target_compile_options(graft_command PRIVATE -O1)  # nothing hot; CLI11 and nlohmann/json compile slowly
  target_link_libraries(graft_command PRIVATE graft graft_flags CLI11::CLI11 nlohmann_json::nlohmann_json)
endif()
