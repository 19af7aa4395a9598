# Run after a test program is built: writes one ctest entry for each of its GoogleTest suites, so that the program starts
# once a suite. cmake -D program=... -D prefix=... -D folder=... -D output=... -P DiscoverSuites.cmake
execute_process(COMMAND ${program} --gtest_list_tests WORKING_DIRECTORY ${folder} OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
# "Suite." at the start of a line, then its tests, indented; behind a # what a parameter is.
string(REGEX REPLACE "#[^\n]*" "" listing "${listing}")
string(REGEX REPLACE "[ \t]*\n" ";" lines "${listing}")
set(suites "")
foreach(line IN LISTS lines)
  if(line MATCHES "^([A-Za-z0-9_/]+)\\.$")
    set(suite ${CMAKE_MATCH_1})
    list(APPEND suites ${suite})
    set(count_${suite} 0)
  elseif(line MATCHES "^  ")
    math(EXPR count_${suite} "${count_${suite}} + 1")
  endif()
endforeach()
set(script "")
foreach(suite IN LISTS suites)
  # COST: the largest first, where ctest knows no times yet.
  string(APPEND script "add_test([=[${prefix}${suite}]=] [=[${program}]=] [=[--gtest_filter=${suite}.*]=])\n"
    "set_tests_properties([=[${prefix}${suite}]=] PROPERTIES WORKING_DIRECTORY [=[${folder}]=] TIMEOUT 1200 COST ${count_${suite}})\n")
endforeach()
file(WRITE ${output} "${script}")
