// Images of every format, decoded and brought to a network's input.
#include "graft/io/preprocess.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(image, 64, 64 << 20, [](graft::fuzz::Bytes bytes) {
  const graft::io::Image image = graft::io::decode_image(bytes, "input");
  graft::io::Preprocess preprocess;
  preprocess.resize_to = 12;
  preprocess.size = 8;
  preprocess.apply(image);
})
