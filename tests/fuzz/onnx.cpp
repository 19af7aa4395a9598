// ONNX models as a whole, and as weights.
#include "graft/io/weights/onnx_weights.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET({ graft::io::weights_of(graft::io::onnx::parse_model(bytes, "input")); })
