// NumPy arrays inside a pickle: Detectron's .pkl, PaddlePaddle's .pdparams, arrays in checkpoints.
#pragma once
#include <string>

#include "graft/io/weights/pickle.h"

namespace graft::io {

struct StoredArray {
  StoredType type = StoredType::f32;
  bool big_endian = false, fortran_order = false;
  Shape shape{};
  std::string_view data;  // inside the pickle
  bool encoded = false;   // data is UTF-8 of characters below 256
};

// Whether a PickleKind::array was given numbers; arrays of objects and texts were not.
bool is_numeric_array(const Pickle& pickle, const PickleValue& array);
// bad_input for an element type that graft does not have, or data of another size than the shape's.
StoredArray parse_array(const Pickle& pickle, const PickleValue& array, const ReadLimits& limits);
Tensor read_array(const StoredArray& array);

}  // namespace graft::io
