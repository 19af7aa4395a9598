// PyTorch files as they lie on disk: zip archives with a pickle, and the legacy chain of pickles.
#include "graft/io/weights/formats.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(pytorch, 64, 1 << 20, [](graft::fuzz::Bytes bytes) {
  graft::io::MemoryFile file("input", bytes);
  if (!bytes.empty() && bytes[0] == std::byte{'P'})
    graft::io::read_pytorch_zip(file);
  else
    graft::io::read_pytorch_legacy(file);
})
