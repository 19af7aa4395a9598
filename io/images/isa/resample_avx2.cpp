// The resizing loops with AVX2.
#include "graft/io/images/isa/resample_kernels.h"

namespace graft::io {

constinit const ResampleTable resample_avx2{across_grey, across_rgb, down};

}  // namespace graft::io
