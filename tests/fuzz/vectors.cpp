// Files of word vectors: text and binary.
#include "graft/io/texts/vectors.h"

#include "graft/tests/fuzz/memory_file_system.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(vectors, 64, 4 << 20, [](graft::fuzz::Bytes bytes) {
  graft::MemoryFileSystem files;
  files.put("v.txt", bytes);
  const graft::ScopedFileSystem scope(files);
  graft::io::read_vectors("/d/v.txt",
                          {[](std::string_view word) { return word.size() % 2 == 0; }, 3});
})
