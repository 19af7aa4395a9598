// Checkpoints: a safetensors file with a description.
#include "graft/train/checkpoint.h"

#include "graft/tests/fuzz/memory_file_system.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(checkpoint, 256, 1 << 20, [](graft::fuzz::Bytes bytes) {
  graft::MemoryFileSystem files;
  files.put("c", bytes);
  const graft::ScopedFileSystem scope(files);
  const graft::train::KeptScores scores{{{"accuracy"}, {"loss", 0, 1e300, false}, {"macro_f1"}},
                                        {"accuracy"}};  // those of a classification
  graft::train::load_checkpoint("/d/c", scores);
})
