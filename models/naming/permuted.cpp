#include "graft/models/naming/permuted.h"

namespace graft::models {

Tensor permuted(const Tensor& tensor, const std::vector<size_t>& from) {
  const Tensor in = tensor.to(DType::f32);
  const size_t rank = from.size();
  std::vector<int64_t> extents, strides(rank, 1), step(rank);
  for (size_t a = rank - 1; a-- > 0;)
    strides[a] = strides[a + 1] * in.size(static_cast<int>(a + 1));
  for (size_t a = 0; a < rank; ++a) {
    extents.push_back(in.size(static_cast<int>(from[a])));
    step[a] = strides[from[a]];
  }
  Tensor out = Tensor::empty(Shape(extents));
  const float* source = in.data<float>();
  float* target = out.mutable_data<float>();
  std::vector<int64_t> at(rank, 0);
  int64_t offset = 0;
  for (int64_t i = 0; i < out.numel(); ++i) {
    target[i] = source[offset];
    for (size_t a = rank; a-- > 0;) {
      offset += step[a];
      if (++at[a] < extents[a]) break;
      offset -= step[a] * extents[a];
      at[a] = 0;
    }
  }
  return out;
}

}  // namespace graft::models
