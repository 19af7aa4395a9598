// PyTorch files: zip archives with a pickle, and the legacy chain of pickles.
#include "graft/io/weights/formats.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET({
  graft::io::MemoryFile file("input", bytes);
  if (!bytes.empty() && bytes[0] == std::byte{'P'}) graft::io::read_pytorch_zip(file);
  else graft::io::read_pytorch_legacy(file);
})
