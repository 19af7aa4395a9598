// Rearrangements composed of reshape, transpose and where: squeeze, depth_to_space, trilu; and
// constant patterns.
#include <cmath>

#include "graft/layers/functional/axes.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/movement.h"

namespace graft::functional {
namespace {

Shape shape_of(const std::vector<int64_t>& extents) {
  return Shape(std::span<const int64_t>(extents));
}

// [columns] -> bool [rows, columns], true where f(row, column).
template <class F>
Tensor pattern(int64_t rows, int64_t columns, F&& f) {
  Tensor mask = Tensor::empty({rows, columns}, {.dtype = DType::boolean});
  bool* out = mask.mutable_data<bool>();
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) *out++ = f(r, c);
  return mask;
}

}  // namespace

Tensor squeeze(const Tensor& x, std::span<const int> axes) {
  const std::vector<bool> named = axis_flags("squeeze", axes, x.rank());
  std::vector<int64_t> extents;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const bool gone =
        axes.empty() ? x.shape()[axis] == 1 : static_cast<bool>(named[static_cast<size_t>(axis)]);
    GRAFT_CHECK(!gone || x.shape()[axis] == 1, "squeeze: axis ", axis, " of ", x.shape(),
                " is not 1");
    if (!gone) extents.push_back(x.shape()[axis]);
  }
  return reshape(x, shape_of(extents));
}

Tensor unsqueeze(const Tensor& x, std::span<const int> axes) {
  const int rank = x.rank() + static_cast<int>(axes.size());
  GRAFT_CHECK(rank <= Shape::max_rank, "unsqueeze: ", x.shape(), " with ", axes.size(),
              " more axes");
  const std::vector<bool> added = axis_flags("unsqueeze", axes, rank);
  std::vector<int64_t> extents;
  int from = 0;
  for (int axis = 0; axis < rank; ++axis)
    extents.push_back(added[static_cast<size_t>(axis)] ? 1 : x.shape()[from++]);
  return reshape(x, shape_of(extents));
}

Tensor depth_to_space(const Tensor& x, int64_t block, bool column_first) {
  GRAFT_CHECK(x.rank() == 4 && block >= 1 && x.size(1) % checked_mul(block, block) == 0,
              "depth_to_space: block ", block, " of ", x.shape());
  const int64_t n = x.size(0), c = x.size(1) / (block * block), h = x.size(2), w = x.size(3);
  static constexpr int kColumnFirst[] = {0, 1, 4, 2, 5, 3}, kDepthFirst[] = {0, 3, 4, 1, 5, 2};
  const Tensor blocks =
      reshape(x, column_first ? Shape{n, c, block, block, h, w} : Shape{n, block, block, c, h, w});
  return reshape(transpose(blocks, column_first ? kColumnFirst : kDepthFirst),
                 {n, c, h * block, w * block});
}

Tensor space_to_depth(const Tensor& x, int64_t block) {
  GRAFT_CHECK(x.rank() == 4 && block >= 1 && x.size(2) % block == 0 && x.size(3) % block == 0,
              "space_to_depth: block ", block, " of ", x.shape());
  const int64_t n = x.size(0), c = x.size(1), h = x.size(2) / block, w = x.size(3) / block;
  static constexpr int kOrder[] = {0, 3, 5, 1, 2, 4};
  return reshape(transpose(reshape(x, {n, c, h, block, w, block}), kOrder),
                 {n, checked_mul(c, block * block), h, w});
}

Tensor trilu(const Tensor& x, bool upper, int64_t k) {
  GRAFT_CHECK(x.rank() >= 2, "trilu: ", x.shape(), " has no matrices");
  const int64_t limit = checked_add(x.size(-1), x.size(-2));
  const int64_t shift = std::max(-limit, std::min(limit, k));
  const Tensor mask = pattern(x.size(-2), x.size(-1), [&](int64_t r, int64_t c) {
    return upper ? c - r >= shift : c - r <= shift;
  });
  return where(mask, x, Tensor::zeros(Shape{}, {.dtype = x.dtype()}));
}

Tensor range(double start, double limit, double delta, DType dtype) {
  GRAFT_CHECK(delta != 0 && std::isfinite(start) && std::isfinite(limit) && std::isfinite(delta),
              "range: from ", start, " to ", limit, " by ", delta);
  const double count = std::max(0.0, std::ceil((limit - start) / delta));
  GRAFT_CHECK(count < 0x1p40, "range: ", count, " elements");
  Tensor values = Tensor::empty({static_cast<int64_t>(count)}, {.dtype = DType::f64});
  double* out = values.mutable_data<double>();
  for (int64_t i = 0; i < values.numel(); ++i) out[i] = start + static_cast<double>(i) * delta;
  return values.to(dtype);
}

Tensor range(int64_t start, int64_t limit, int64_t delta, DType dtype) {
  GRAFT_CHECK(delta != 0, "range: a step of 0");
  const int64_t span = delta > 0 ? checked_add(limit, checked_mul(start, -1))
                                 : checked_add(start, checked_mul(limit, -1));
  const int64_t count =
      span <= 0 ? 0
                : (span - 1) / std::max<int64_t>(delta > 0 ? delta : checked_mul(delta, -1), 1) + 1;
  Tensor values = Tensor::empty({count}, {.dtype = DType::i64});
  int64_t* out = values.mutable_data<int64_t>();
  for (int64_t i = 0; i < count; ++i) out[i] = start + i * delta;
  return values.to(dtype);
}

Tensor eye(int64_t rows, int64_t columns, int64_t k, DType dtype) {
  return pattern(rows, columns, [&](int64_t r, int64_t c) { return c - r == k; }).to(dtype);
}

}  // namespace graft::functional
