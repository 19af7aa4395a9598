// What the kernels of ops/matmul.h ask of their arguments: extents, and whether the products lie at
// even distances.
#pragma once
#include <optional>

#include "graft/kernels/ops/matmul.h"

namespace graft::cuda {

struct MatrixExtents {
  int64_t m, n, k;
  static MatrixExtents of(const ops::MatmulArgs& args) {
    return {args.y.size(1), args.y.size(2), args.a.size(args.transpose_a ? 1 : 2)};
  }
};

// Result i is the product of matrices a + i * a_step and b + i * b_step.
struct EvenStack {
  int64_t a, a_step, b, b_step;
  static std::optional<EvenStack> of(const ops::MatmulArgs& args) {
    const auto& p = args.products;
    if (p.empty() || static_cast<int64_t>(p.size()) != args.y.size(0)) return std::nullopt;
    const EvenStack stack{p[0].a, p.size() > 1 ? p[1].a - p[0].a : 0, p[0].b,
                          p.size() > 1 ? p[1].b - p[0].b : 0};
    if (stack.a_step < 0 || stack.b_step < 0) return std::nullopt;
    for (size_t i = 0; i < p.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      if (p[i].y != at || p[i].a != stack.a + at * stack.a_step ||
          p[i].b != stack.b + at * stack.b_step)
        return std::nullopt;
    }
    return stack;
  }
};

}  // namespace graft::cuda
