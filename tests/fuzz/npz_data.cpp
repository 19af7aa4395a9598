// Data sets in one NPZ archive.
#include "graft/tests/fuzz/read_data.h"

GRAFT_FUZZ_TARGET(npz_data, 18'000, 1 << 20, [](graft::fuzz::Bytes bytes) {
  graft::MemoryFileSystem files;
  files.put("x.npz", bytes);
  graft::fuzz::read_data(files, "/d/x.npz");
})
