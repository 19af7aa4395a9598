// NPZ archives (zip, stored and deflated) and the NPY arrays within; an input that starts as NPY is
// read as one.
#include "graft/io/weights/formats.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(npz, 1200, 1 << 20, [](graft::fuzz::Bytes bytes) {
  graft::io::MemoryFile file("input", bytes);
  if (!bytes.empty() && bytes[0] == std::byte{0x93})
    graft::io::read_npy(file);
  else
    graft::io::read_npz(file);
})
