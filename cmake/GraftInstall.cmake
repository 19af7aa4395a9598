# Install rules and the find_package(graft) files.
include(CMakePackageConfigHelpers)
get_target_property(graft_library_type graft TYPE)
set(GRAFT_STATIC OFF)  # a static library hands its private dependencies on to whoever links it
if(graft_library_type STREQUAL "STATIC_LIBRARY")
  set(GRAFT_STATIC ON)
endif()
set_target_properties(graft PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
install(TARGETS graft EXPORT graftTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT graft_programs
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# The component graft_programs is what runs: the programs, and the shared library that they need.
if(TARGET graft_command)
  install(TARGETS graft_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT graft_programs)
endif()
if(TARGET graft_read_hdf5)
  install(TARGETS graft_read_hdf5 RUNTIME DESTINATION libexec/graft COMPONENT graft_programs)
endif()
# Where they look for libraries: a shared libgraft by its place beside them, others where the build found them. The entries must be
# those of the installed tree from the start: CMake ends one that it means to replace with ':' and fills it up with more, and each
# empty entry between them means the current folder, from which anybody's library would be loaded. So the build tree has the
# installed one's layout. tools/check_library_paths.sh looks at what came out.
foreach(target graft graft_command graft_read_hdf5)
  if(TARGET ${target})
    set_target_properties(${target} PROPERTIES BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH_USE_LINK_PATH ON)
  endif()
endforeach()
if(NOT GRAFT_STATIC)
  set_target_properties(graft PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${CMAKE_INSTALL_LIBDIR})
  file(RELATIVE_PATH graft_libraries_from_bin /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
  if(TARGET graft_command)
    set_target_properties(graft_command PROPERTIES INSTALL_RPATH "$ORIGIN/${graft_libraries_from_bin}")
  endif()
  if(TARGET graft_read_hdf5)
    set_target_properties(graft_read_hdf5 PROPERTIES INSTALL_RPATH "$ORIGIN/../../${CMAKE_INSTALL_LIBDIR}"
      RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/libexec/graft)
  endif()
endif()
set(graft_includes ${CMAKE_INSTALL_INCLUDEDIR}/graft)
install(CODE "set(GRAFT_SOURCE [==[${PROJECT_SOURCE_DIR}]==])
  set(GRAFT_FOLDERS ${GRAFT_FOLDERS})
  set(GRAFT_INCLUDES [==[${graft_includes}]==])
  if(NOT IS_ABSOLUTE \"\${GRAFT_INCLUDES}\")
    set(GRAFT_INCLUDES \"\${CMAKE_INSTALL_PREFIX}/\${GRAFT_INCLUDES}\")
  endif()
  include([==[${PROJECT_SOURCE_DIR}/cmake/InstallHeaders.cmake]==])")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(EXPORT graftTargets NAMESPACE graft:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/graft)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/graftConfig.cmake.in
  ${PROJECT_BINARY_DIR}/graftConfig.cmake INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/graft)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/graftConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/graftConfig.cmake ${PROJECT_BINARY_DIR}/graftConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/graft)
include(cmake/GraftPkgConfig.cmake)
if(PROJECT_IS_TOP_LEVEL)
  add_custom_target(uninstall VERBATIM
    COMMAND ${CMAKE_COMMAND} -D GRAFT_BUILD=${PROJECT_BINARY_DIR} -P ${PROJECT_SOURCE_DIR}/cmake/Uninstall.cmake)
endif()
