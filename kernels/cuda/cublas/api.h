// cuBLASLt as graft uses it: its functions, found in the library at run time, and the numbers of
// its types and attributes. They are the library's binary interface; cuda_cublas_header.cu compares
// them with its header where a build finds one.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace graft::cublas::api {

using Handle = void*;
using Description = void*;  // of a product
using Layout = void*;       // of a matrix
using Preference = void*;
using Stream = void*;  // cudaStream_t
enum class Result : int { success = 0 };

enum class ComputeType : int { f32 = 68, tf32 = 77 };
enum class DataType : int { f32 = 0, f16 = 2, bf16 = 14 };
enum class DescriptionName : int { transpose_a = 3, transpose_b = 4, epilogue = 7, bias = 8 };
enum class LayoutName : int { count = 5, stride = 6 };
enum class PreferenceName : int {
  workspace = 1,
  reduction = 3,
  alignment_a = 5,
  alignment_b = 6,
  alignment_c = 7,
  alignment_d = 8
};
enum class Transpose : int { no = 0, yes = 1 };
enum class Epilogue : uint32_t { bias = 4 };
enum class Reduction : uint32_t {
  none = 0,
  compute_type = 2
};  // how parts of a sum are joined: in float32

struct Algorithm {
  uint64_t data[8];
};
struct HeuristicResult {
  Algorithm algorithm;
  size_t workspace;
  Result state;
  float waves;
  int reserved[4];
};

struct Library {
  size_t (*version)();
  const char* (*error_text)(Result);
  Result (*create)(Handle*);
  Result (*destroy)(Handle);
  Result (*create_description)(Description*, ComputeType, DataType scale);
  Result (*destroy_description)(Description);
  Result (*set_description)(Description, DescriptionName, const void* value, size_t bytes);
  Result (*create_layout)(Layout*, DataType, uint64_t rows, uint64_t columns, int64_t leading);
  Result (*destroy_layout)(Layout);
  Result (*set_layout)(Layout, LayoutName, const void* value, size_t bytes);
  Result (*create_preference)(Preference*);
  Result (*destroy_preference)(Preference);
  Result (*set_preference)(Preference, PreferenceName, const void* value, size_t bytes);
  Result (*heuristic)(Handle, Description, Layout a, Layout b, Layout c, Layout d, Preference,
                      int wanted, HeuristicResult*, int* found);
  Result (*multiply)(Handle, Description, const void* alpha, const void* a, Layout, const void* b,
                     Layout, const void* beta, const void* c, Layout, void* d, Layout,
                     const Algorithm*, void* workspace, size_t workspace_bytes, Stream);
};

// The library of this machine, loaded when it is first asked for and kept: libcublasLt.so.13 or .12
// where the loader finds one, or what GRAFT_CUBLASLT_LIBRARY names ("off": none). Null with the
// reason in `why`.
const Library* library(std::string& why);

}  // namespace graft::cublas::api
