// The NPY format of one array
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), inside NPZ or alone.
#pragma once
#include <span>
#include <string>

#include "graft/core/base/function_ref.h"
#include "graft/io/weights/stored_type.h"

namespace graft::io {

struct NpyHeader {
  StoredType type = StoredType::f32;
  bool big_endian = false;
  bool fortran_order = false;
  Shape shape{};
};

// Parses the header's text, a Python dictionary such as "{'descr': '<f4', 'fortran_order': False,
// 'shape': (2, 3), }".
NpyHeader parse_npy_header(std::string_view text, const ReadLimits& limits);

// Reads an array of `bytes` bytes in all, front to back, through `read`; its header comes back too.
// Elements V2 are taken for bfloat16: NumPy has no such type, and ml_dtypes' is written so.
Tensor read_npy_stream(int64_t bytes, FunctionRef<void(std::span<std::byte>)> read,
                       const ReadLimits& limits, NpyHeader& header);

// Magic, version and header of a C-order array, padded to a multiple of 64 bytes. bad_input for
// bfloat16.
std::string npy_header(const Tensor& tensor);

}  // namespace graft::io
