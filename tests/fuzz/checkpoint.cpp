// Checkpoints: a safetensors file with a description.
#include "graft/train/checkpoint.h"

#include "graft/tests/fuzz/memory_file_system.h"
#include "graft/tests/fuzz/target.h"
#include "graft/train/tasks/classification/classification.h"

GRAFT_FUZZ_TARGET(checkpoint, 256, 1 << 20, [](graft::fuzz::Bytes bytes) {
  graft::MemoryFileSystem files;
  files.put("c", bytes);
  const graft::ScopedFileSystem scope(files);
  graft::train::load_checkpoint("/d/c", graft::train::Classification(3));
})
