// CSV lists of images; the one image that is there is the list itself, read as a picture.
#include "graft/tests/fuzz/read_data.h"

GRAFT_FUZZ_TARGET(csv, 200, 1 << 20, [](graft::fuzz::Bytes bytes) {
  graft::MemoryFileSystem files;
  files.put("x.csv", bytes);
  files.put("a.pgm", bytes);
  graft::fuzz::read_data(files, "/d/x.csv");
})
