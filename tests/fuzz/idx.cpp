// IDX folders: images, and labels that may be packed by gzip.
#include "graft/tests/fuzz/read_data.h"

GRAFT_FUZZ_TARGET(idx, 9600, 1 << 20, [](graft::fuzz::Bytes bytes) {
  const auto [images, labels] = graft::fuzz::split_files(bytes);
  graft::MemoryFileSystem files;
  files.put("train-images-idx3-ubyte", images);
  files.put("train-labels-idx1-ubyte.gz", labels);
  graft::fuzz::read_data(files, "/d");
})
