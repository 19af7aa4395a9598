# Install rules and the find_package(graft) files.
include(CMakePackageConfigHelpers)
get_target_property(graft_library_type graft TYPE)
set(GRAFT_STATIC OFF)  # a static library hands its private dependencies on to whoever links it
if(graft_library_type STREQUAL "STATIC_LIBRARY")
  set(GRAFT_STATIC ON)
endif()
set_target_properties(graft PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
install(TARGETS graft EXPORT graftTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(TARGET graft_command)
  file(RELATIVE_PATH graft_libraries_from_bin /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
  set_target_properties(graft_command PROPERTIES INSTALL_RPATH "$ORIGIN/${graft_libraries_from_bin}")
  install(TARGETS graft_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(TARGET graft_read_hdf5)
  set_target_properties(graft_read_hdf5 PROPERTIES INSTALL_RPATH "$ORIGIN/../../${CMAKE_INSTALL_LIBDIR}")
  install(TARGETS graft_read_hdf5 RUNTIME DESTINATION libexec/graft)
endif()
foreach(folder IN LISTS GRAFT_FOLDERS)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/graft
    FILES_MATCHING PATTERN "*.h")
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(EXPORT graftTargets NAMESPACE graft:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/graft)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/graftConfig.cmake.in
  ${PROJECT_BINARY_DIR}/graftConfig.cmake INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/graft)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/graftConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/graftConfig.cmake ${PROJECT_BINARY_DIR}/graftConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/graft)
