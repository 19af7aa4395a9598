// TensorFlow Lite's models: the FlatBuffer read, and its operators translated into ONNX's.
#include "graft/io/tflite/model.h"
#include "graft/models/tensorflow/tflite_graph.h"
#include "graft/tests/fuzz/target.h"

GRAFT_FUZZ_TARGET(tflite, 1024, 64 << 20, [](graft::fuzz::Bytes bytes) {
  graft::models::onnx_graph(graft::io::tflite::parse_model(bytes, "m.tflite"));
})
