// GIF: blocks, palettes, LZW.
#include "graft/io/images/gif.h"

#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(gif, 64, 64 << 20,
                  [](graft::fuzz::Bytes bytes) { graft::io::decode_gif(bytes, "input"); })
