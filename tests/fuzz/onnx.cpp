// ONNX models as a whole, and as weights.
#include "graft/io/weights/onnx_weights.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(onnx, 64, 1 << 20, [](graft::fuzz::Bytes bytes) {
  graft::io::onnx_weights(graft::io::onnx::parse_model(bytes, "input"));
})
