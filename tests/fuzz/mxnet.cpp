// MXNet's .params files.
#include "graft/io/weights/formats.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET({
  graft::io::MemoryFile file("input", bytes);
  graft::io::read_mxnet(file);
})
