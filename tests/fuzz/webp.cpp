// WebP: the container, its EXIF, frames of an animation.
#include "graft/io/images/webp.h"

#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(webp, 64, 64 << 20,
                  [](graft::fuzz::Bytes bytes) { graft::io::decode_webp(bytes, "input"); })
