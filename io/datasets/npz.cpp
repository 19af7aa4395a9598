// An .npz with x (u8 [N,H,W] or [N,H,W,C]) and y (integers [N]).
#include <algorithm>

#include "graft/io/datasets/sources.h"
#include "graft/io/weights/weights.h"

namespace graft::io {

DataPart read_npz_data(const std::string& path) {
  const WeightFile file = read_weights(path);
  const Tensor x = file.tensors.find("x"), y = file.tensors.find("y");
  GRAFT_CHECK(x.defined() && y.defined(), path, ": a data set needs arrays named x and y");
  GRAFT_CHECK(x.dtype() == DType::u8 && (x.rank() == 3 || x.rank() == 4), path, ": x is ",
              name_of(x.dtype()), " ", x.shape(), "; uint8 [N,H,W] or [N,H,W,C] is needed");
  GRAFT_CHECK(y.rank() == 1 && !is_floating(y.dtype()), path, ": y is ", name_of(y.dtype()), " ",
              y.shape(), "; integers [N] are needed");
  // One label's word alone makes no list of classes: a few samples have few of them.
  constexpr int64_t few = 10'000;
  const int64_t most = std::max(few, y.numel());
  DataPart part;
  std::vector<int64_t> labels;
  labels.reserve(static_cast<size_t>(y.numel()));
  int64_t classes = 0;
  for (const double value : y.to_doubles()) {
    labels.push_back(static_cast<int64_t>(value));
    GRAFT_CHECK(labels.back() >= 0 && labels.back() < most, path, ": label ", labels.back(),
                " is out of range: labels are classes counted from 0, and ", y.numel(),
                " samples have at most ", most);
    classes = std::max(classes, labels.back() + 1);
  }
  for (int64_t i = 0; i < classes; ++i) part.classes.push_back(std::to_string(i));
  const Shape& s = x.shape();
  part.dataset =
      pixel_dataset(path, x.rank() == 4 ? x : x.reshape({s[0], s[1], s[2], 1}), std::move(labels));
  return part;
}

}  // namespace graft::io
