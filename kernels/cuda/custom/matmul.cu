// Stacks of matrix products on the tiled product, in float32. Each result sums its products in
// their order.
#include <algorithm>
#include <vector>

#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/matrix_stack.h"
#include "graft/kernels/cuda/device/product.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

// The steps of one result's sum are those of all its products, one behind the other.
template <class T>
struct StackProblem {
  static constexpr const char* name = "matmul";
  Span<const T> left, right;
  Span<T> y;
  MatrixExtents e;
  bool transpose_a, transpose_b;
  EvenStack even;
  Span<const int64_t>
      table;  // or empty: [results][most][2], the matrices of each product; -1: there are no more
  int64_t most;
  GRAFT_HD int64_t matrix(int64_t result, int64_t step, int which) const {
    if (table) return table.load((result * most + step / e.k) * 2 + which);
    return which == 0 ? even.a + result * even.a_step : even.b + result * even.b_step;
  }
  GRAFT_HD float a(int64_t result, int64_t row, int64_t step) const {
    const int64_t of = matrix(result, step, 0), k = step % e.k;
    return of < 0 ? 0.f
                  : to_float(
                        left.load(of * e.m * e.k + (transpose_a ? k * e.m + row : row * e.k + k)));
  }
  GRAFT_HD float b(int64_t result, int64_t step, int64_t column) const {
    const int64_t of = matrix(result, step, 1), k = step % e.k;
    return of < 0 ? 0.f
                  : to_float(right.load(of * e.k * e.n +
                                        (transpose_b ? column * e.k + k : k * e.n + column)));
  }
  GRAFT_HD void store(int64_t result, int64_t, int64_t row, int64_t column, float value) const {
    y.store((result * e.m + row) * e.n + column, from_float<T>(value));
  }
};

// The table above, and how many products a result has at most.
std::vector<int64_t> table_of(const ops::MatmulArgs& args, int64_t& most) {
  std::vector<int64_t> counts(static_cast<size_t>(args.y.size(0)));
  for (const ops::MatrixProduct& p : args.products) ++counts[static_cast<size_t>(p.y)];
  most = counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
  std::vector<int64_t> table(static_cast<size_t>(2 * most * args.y.size(0)), -1);
  std::fill(counts.begin(), counts.end(), 0);
  for (const ops::MatrixProduct& p : args.products) {
    const int64_t at = 2 * (p.y * most + counts[static_cast<size_t>(p.y)]++);
    table[static_cast<size_t>(at)] = p.a, table[static_cast<size_t>(at + 1)] = p.b;
  }
  return table;
}

const char* declines(const ExecContext&, const ops::MatmulArgs& args) {
  return declines_dtype(args.y);
}

void run(ExecContext&, ops::MatmulArgs& args) {
  const gpu::OperationName operation("matmul");
  const MatrixExtents e = MatrixExtents::of(args);
  const std::optional<EvenStack> even = EvenStack::of(args);
  int64_t most = 1;
  Tensor table;
  if (!even) {
    const std::vector<int64_t> entries = table_of(args, most);
    if (most > 0) table = lists_of(args.y).find(entries);
  }
  const int64_t steps = most * e.k;
  visit_kernel_dtype(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch_product(
        device_of(args.y), {e.m, e.n, steps, args.y.size(0), std::max<int64_t>(steps, 1)},
        StackProblem<T>{span<T>(args.a), span<T>(args.b), mutable_span<T>(args.y), e,
                        args.transpose_a, args.transpose_b, even.value_or(EvenStack{}),
                        table.defined() ? span<int64_t>(table) : Span<const int64_t>{}, most});
  });
}

}  // namespace

void register_matmul(KernelSet& set) { set.matmul.run.add({"cuda_tiled", declines, run}); }

}  // namespace graft::cuda
