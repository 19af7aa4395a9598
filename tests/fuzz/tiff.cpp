// TIFF: the directory, strips and tiles, every compression that is read.
#include "graft/io/images/tiff.h"

#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(tiff, 64, 64 << 20,
                  [](graft::fuzz::Bytes bytes) { graft::io::decode_tiff(bytes, "input"); })
