#include "graft/layers/modules/embedding.h"

#include "graft/layers/functional/indexing.h"
#include "graft/layers/modules/default_values.h"

namespace graft {

Embedding::Embedding(int64_t count, int64_t width) {
  GRAFT_CHECK(count >= 1 && width >= 1, "Embedding: ", count, " vectors of ", width, " numbers");
  weight_ = &register_parameter("weight", Tensor::zeros({count, width}));
  give_normal_values(*weight_);
}

Embedding::Embedding(const Tensor& vectors) {
  GRAFT_CHECK(vectors.rank() == 2 && vectors.numel() > 0 && is_floating(vectors.dtype()),
              "Embedding: vectors ", vectors.shape(), " of ", name_of(vectors.dtype()),
              ", expected floating [V,D]");
  weight_ = &register_parameter("weight", vectors.clone());
}

Tensor Embedding::forward(const Tensor& indices) { return functional::gather(*weight_, indices); }

}  // namespace graft
