// Which options an operator of TensorFlow Lite has: schema.fbs as a table.
#pragma once
#include <string>

#include "graft/io/tflite/flatbuffer.h"
#include "graft/io/tflite/model.h"

namespace graft::io::tflite {

std::string name_of_operator(int64_t code);  // "CONV_2D"; "operator 999" for what is not known

// The options of `name` from its table, which may be absent.
Options read_options(const std::string& name, const flat::Table& table);

}  // namespace graft::io::tflite
