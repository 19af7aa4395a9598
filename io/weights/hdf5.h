// HDF5 files are not read by the library, whose readers are its own: a program may lend it a
// reader. The graft command lends one that runs in a process of its own, under limits.
#pragma once
#include "graft/core/base/file_system.h"
#include "graft/io/weights/weights.h"

namespace graft::io {

// Gives all data sets of numbers by their full path ("model_weights/conv1/conv1/kernel:0"), and in
// the metadata what Keras wrote beside them: kKerasConfigKey, and kKerasNameKey + path for the name
// attribute of the group at that path.
using Hdf5Reader = WeightFile (*)(File& file, const ReadLimits& limits);
inline constexpr const char* kKerasConfigKey = "keras.config";
inline constexpr const char* kKerasVersionKey = "keras_version";
inline constexpr const char* kKerasNameKey = "keras.name:";

// nullptr: HDF5 is refused in one sentence. To be called before other threads read files.
GRAFT_API void set_hdf5_reader(Hdf5Reader reader);

// Through the reader that was lent. A .keras archive holds such a file beside the model's
// configuration.
GRAFT_API WeightFile read_hdf5(File& file, const ReadLimits& limits);
GRAFT_API WeightFile read_keras_archive(File& file, const ReadLimits& limits);

}  // namespace graft::io
