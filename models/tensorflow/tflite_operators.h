// TensorFlow Lite's operators in TensorFlow's words.
#pragma once
#include <string>
#include <vector>

#include "graft/io/tflite/model.h"
#include "graft/models/tensorflow/translation.h"

namespace graft::models::tensorflow {

// The name of tensor `index` among a translation's items; "" for -1.
std::string lite_name(int64_t index);

struct Prepared {
  std::string op{};
  std::vector<std::string> inputs{};
  AttributeValues attributes{};
  std::string activation{};  // that follows: "RELU6"
};

bool is_known_lite(const std::string& op);
// Puts weights in TensorFlow's order of axes; the operator must be known.
Prepared prepare_lite(const io::tflite::Operator& op, Translation& translation);

}  // namespace graft::models::tensorflow
