// What the HDF5 reader's process does: the data sets of a file, as one safetensors stream.
#pragma once
#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "graft/core/base/function_ref.h"

namespace graft::tools {

// Reads the HDF5 file that `bytes` are (libhdf5 may write to them) and hands to `write`, in order:
// the stream's length (8 bytes, little endian), then a safetensors file with every data set of
// numbers, and as metadata `notes` and io/weights/hdf5.h's. Opens nothing. graft::Error(bad_input)
// for a damaged file, for links and data that lead to other files, and for data that the file does
// not hold.
void dump_hdf5(std::span<std::byte> bytes, const std::map<std::string, std::string>& notes,
               FunctionRef<void(std::span<const std::byte>)> write);

}  // namespace graft::tools
