// The resizing loops for any processor.
#include "graft/io/images/isa/resample_kernels.h"

namespace graft::io {

constinit const ResampleTable resample_portable{across_grey, across_rgb, down};

}  // namespace graft::io
