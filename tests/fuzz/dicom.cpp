// DICOM: elements of both kinds, sequences, pixels raw and in items.
#include "graft/io/images/dicom.h"

#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(dicom, 64, 64 << 20, [](graft::fuzz::Bytes bytes) {
  (void)graft::io::dicom_size(bytes);
  graft::io::decode_dicom(bytes, "input");
})
