// Lends graft the reader of HDF5 files: libhdf5 in a process of its own (tools/hdf5), whose answer
// is parsed as hostile.
#pragma once
#include <string>

namespace graft::tools {

// After this read_weights() reads .h5 and .keras. Where this build has no libhdf5, or the program
// is not found beside the command, reading ends in one sentence.
void lend_hdf5_reader();

// For graft doctor: "1.10.8, in a process of its own" or why there is none.
std::string hdf5_state();

}  // namespace graft::tools
