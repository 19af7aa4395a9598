# Compiler flags for all of graft's own targets, as one interface target.
add_library(graft_flags INTERFACE)
set(graft_cxx $<COMPILE_LANGUAGE:CXX>)
target_compile_options(graft_flags INTERFACE
  "$<${graft_cxx}:-Wall;-Wextra;-Wshadow=local;-Wpedantic;-fvisibility=hidden;-ffp-contract=off;-fno-math-errno>")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  target_compile_options(graft_flags INTERFACE $<${graft_cxx}:-Wno-restrict>)  # false alarms on std::string: GCC bug 105651
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(graft_flags INTERFACE $<${graft_cxx}:-Wno-subobject-linkage>)  # a unity file includes units, which GCC takes for headers
endif()
if(GRAFT_WERROR)
  target_compile_options(graft_flags INTERFACE $<${graft_cxx}:-Werror>)
endif()
if(GRAFT_SANITIZE)
  # A finding ends the program, so that its test fails; UBSan alone would print a line and go on.
  target_compile_options(graft_flags INTERFACE
    "$<${graft_cxx}:-fsanitize=${GRAFT_SANITIZE};-fno-sanitize-recover=all;-fno-omit-frame-pointer>")
  target_link_options(graft_flags INTERFACE -fsanitize=${GRAFT_SANITIZE})
endif()

# For code that is compiled more often than it runs: tests and the command. Sanitizers spend most of a build on optimizing.
set(graft_quick_build -O1)
if(GRAFT_SANITIZE)
  set(graft_quick_build -O0)
endif()
