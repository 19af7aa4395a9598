#include "graft/io/weights/formats.h"

namespace graft::io {
WeightFile read_pytorch_zip(File& file, const ReadLimits&) { bad_input(file.path(), ": PyTorch files are not read"); }
WeightFile read_pytorch_legacy(File& file, const ReadLimits&) { bad_input(file.path(), ": PyTorch files are not read"); }
}  // namespace graft::io
