// The resizing loops with AVX-512.
#include "graft/io/images/isa/resample_kernels.h"

namespace graft::io {

constinit const ResampleTable resample_avx512{across_grey, across_rgb, down};

}  // namespace graft::io
