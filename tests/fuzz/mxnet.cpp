// MXNet's .params files.
#include "graft/io/weights/formats.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(mxnet, 64, 1 << 20, [](graft::fuzz::Bytes bytes) {
  graft::io::MemoryFile file("input", bytes);
  graft::io::read_mxnet(file);
})
