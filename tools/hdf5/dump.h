// What the HDF5 reader's process does: the data sets of a file, as one safetensors stream.
#pragma once
#include <cstddef>
#include <span>

#include "graft/core/base/function_ref.h"

namespace graft::tools {

// Reads the HDF5 file that `descriptor` is open on and hands to `write`, in order: the stream's
// length (8 bytes, little endian), then a safetensors file with every data set of numbers and
// io/weights/hdf5.h's metadata. graft::Error(bad_input) for a damaged file, for links and data that
// lead to other files, and for data that the file does not hold.
void dump_hdf5(int descriptor, FunctionRef<void(std::span<const std::byte>)> write);

}  // namespace graft::tools
