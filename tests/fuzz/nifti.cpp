// NIfTI-1: headers in both byte orders, values of every type, gzip.
#include "graft/io/images/nifti.h"

#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(nifti, 64, 64 << 20, [](graft::fuzz::Bytes bytes) {
  (void)graft::io::nifti_size(bytes);
  graft::io::decode_nifti(bytes, "input.nii#1");
})
