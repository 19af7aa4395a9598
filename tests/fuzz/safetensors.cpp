// safetensors files.
#include "graft/io/weights/formats.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(safetensors, 32, 1 << 20, [](graft::fuzz::Bytes bytes) {
  graft::io::MemoryFile file("input", bytes);
  graft::io::read_safetensors(file);
})
