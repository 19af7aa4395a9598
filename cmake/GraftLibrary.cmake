# libgraft: every .cpp of the library's folders. Sources are found by folder, so that adding an op touches no CMake file.
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(JPEG REQUIRED)
find_package(nlohmann_json 3.10 REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)

# Headers are included as "graft/core/..." in the tree (through this link) and after install. Builds under build/ share
# one link, so that a compiler cache sees the same command for all of them.
cmake_path(IS_PREFIX PROJECT_SOURCE_DIR ${PROJECT_BINARY_DIR} graft_built_inside)
set(graft_include_root ${PROJECT_BINARY_DIR}/include)
if(graft_built_inside)
  set(graft_include_root ${PROJECT_SOURCE_DIR}/build/include)
endif()
file(MAKE_DIRECTORY ${graft_include_root})
file(CREATE_LINK ${PROJECT_SOURCE_DIR} ${graft_include_root}/graft SYMBOLIC)

set(GRAFT_FOLDERS core io kernels layers models train api capi)
set(graft_sources "")
foreach(folder IN LISTS GRAFT_FOLDERS)
  file(GLOB_RECURSE graft_folder_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cpp)
  list(APPEND graft_sources ${graft_folder_sources})
endforeach()
list(FILTER graft_sources EXCLUDE REGEX "/kernels/cuda/")
file(GLOB_RECURSE graft_cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/cuda/*.cpp ${PROJECT_SOURCE_DIR}/kernels/cuda/*.cu)
foreach(source IN LISTS graft_cuda_sources)
  if(source MATCHES "\\.cu$")
    set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)  # each is a family of its own
  endif()
endforeach()
if(GRAFT_HAS_CUDA)
  list(FILTER graft_cuda_sources EXCLUDE REGEX "/kernels/cuda/emulator/")
  list(APPEND graft_sources ${graft_cuda_sources})
  # Its grey levels are io/augment.cpp's to the last one, which a multiply-add in one rounding would change.
  set_source_files_properties(${PROJECT_SOURCE_DIR}/kernels/cuda/custom/image_input.cu PROPERTIES COMPILE_OPTIONS "-fmad=false")
else()
  list(FILTER graft_cuda_sources EXCLUDE REGEX "/cuda_[a-z_]*\\.cu$")  # they call CUDA itself
  set_source_files_properties(${graft_cuda_sources} PROPERTIES LANGUAGE CXX)
endif()

# One translation unit per instruction set, named *_avx2.cpp, *_avx512.cpp, *_avx512_bf16.cpp, *_avx512_vnni.cpp.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  foreach(source IN LISTS graft_sources)
    if(source MATCHES "_avx2\\.cpp$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-ffp-contract=off")
    elseif(source MATCHES "_avx512\\.cpp$")
      set_source_files_properties(${source} PROPERTIES
        COMPILE_OPTIONS "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx2;-mfma;-mprefer-vector-width=512")
    elseif(source MATCHES "_avx512_vnni\\.cpp$")
      set_source_files_properties(${source} PROPERTIES
        COMPILE_OPTIONS "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512vnni;-mavx2;-mfma;-mprefer-vector-width=512")
    elseif(source MATCHES "_avx512_bf16\\.cpp$")
      set_source_files_properties(${source} PROPERTIES
        COMPILE_OPTIONS "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512bf16;-mavx2;-mfma;-mprefer-vector-width=512")
    endif()
  endforeach()
else()
  list(FILTER graft_sources EXCLUDE REGEX "_(avx2|avx512|avx512_bf16|avx512_vnni)\\.cpp$")
endif()
# Below -O2 the innermost loops keep their sums in memory, where a sanitizer looks at each: three times the time of a run.
if(GRAFT_SANITIZE)
  foreach(source IN LISTS graft_sources)
    if(source MATCHES "/isa/")
      set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS -O2)
    endif()
  endforeach()
endif()

# GCC 12 doubts std::regex under the address sanitizer (GCC bug 105562): the one file that has it stands alone.
set_source_files_properties(${PROJECT_SOURCE_DIR}/io/datasets/name_pattern.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
if(GRAFT_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set_source_files_properties(${PROJECT_SOURCE_DIR}/io/datasets/name_pattern.cpp PROPERTIES COMPILE_OPTIONS "-Wno-maybe-uninitialized")
endif()

# The one file that asks whether there is CUDA, so that everything else is compiled alike with it and without.
set_source_files_properties(${PROJECT_SOURCE_DIR}/kernels/registry.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
if(GRAFT_HAS_CUDA)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/kernels/registry.cpp PROPERTIES COMPILE_DEFINITIONS GRAFT_HAS_CUDA)
endif()

# Presets other than dev build in unity (some files at a time), which halves the time of a first build; so names in
# anonymous namespaces differ within a folder. Units for one instruction set have flags of their own and stay alone.
add_library(graft ${graft_sources})
add_library(graft::graft ALIAS graft)
target_include_directories(graft PUBLIC
  $<BUILD_INTERFACE:${graft_include_root}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(graft PUBLIC cxx_std_20)
target_compile_definitions(graft PRIVATE GRAFT_VERSION="${PROJECT_VERSION}")
if(GRAFT_HAS_CUDA)
  set_target_properties(graft PROPERTIES CUDA_RUNTIME_LIBRARY Static)
  target_link_libraries(graft PRIVATE CUDA::cudart_static ${CMAKE_DL_LIBS})
endif()
target_link_libraries(graft PUBLIC Threads::Threads PRIVATE $<BUILD_INTERFACE:graft_flags> ZLIB::ZLIB JPEG::JPEG
  $<BUILD_INTERFACE:nlohmann_json::nlohmann_json> $<BUILD_INTERFACE:Eigen3::Eigen>)
target_compile_definitions(graft PRIVATE EIGEN_MPL2_ONLY)  # Eigen's few files of other licences are errors
graft_use_image_libraries(graft)
# The C API's symbols carry the version of their ABI; the C++ ones none.
if(BUILD_SHARED_LIBS)
  target_link_options(graft PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/capi/graft.map)
  set_property(TARGET graft APPEND PROPERTY LINK_DEPENDS ${PROJECT_SOURCE_DIR}/capi/graft.map)
endif()
