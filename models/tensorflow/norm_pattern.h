// A batch norm that stands as its arithmetic: x * (rsqrt(variance + epsilon) * scale) + (shift -
// mean * the same factor), as Keras 3 writes it.
#pragma once
#include "graft/models/tensorflow/translation.h"

namespace graft::models::tensorflow {

// For an Add that is the last step of one: gives a BatchNormalization. False: it is another Add.
bool give_batch_norm(Call& call);

}  // namespace graft::models::tensorflow
