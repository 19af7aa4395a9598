// functional::matmul, its Node, and gemm.
#include "graft/kernels/ops/matmul.h"

#include <algorithm>

#include "graft/core/autograd/record.h"
#include "graft/kernels/registry.h"
#include "graft/layers/functional/beside.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/matrices.h"
#include "graft/layers/functional/movement.h"

namespace graft::functional {
namespace {

// A stack of matrices [B,rows,columns] that shares x's storage (x in order).
Tensor stack_of(const Tensor& x) {
  const Tensor ordered = x.to(MemoryFormat::contiguous);
  return ordered.reshape({x.shape().product(0, x.rank() - 2), x.size(-2), x.size(-1)});
}

// Which matrices of a and b each matrix of the broadcast result is the product of.
std::vector<ops::MatrixProduct> products_of(const Shape& a, const Shape& b, const Shape& y) {
  const int leading = y.rank() - 2;
  std::vector<ops::MatrixProduct> products;
  if (y.numel() == 0) return products;
  const int64_t count = y.product(0, leading);
  for (int64_t i = 0; i < count; ++i) {
    ops::MatrixProduct product{0, 0, i};
    int64_t rest = i, step_a = 1, step_b = 1;
    for (int axis = leading - 1; axis >= 0; --axis) {
      const int64_t at = rest % y[axis];
      rest /= y[axis];
      const int in_a = axis - (y.rank() - a.rank()), in_b = axis - (y.rank() - b.rank());
      if (in_a >= 0 && a[in_a] != 1) product.a += at * step_a, step_a *= a[in_a];
      if (in_b >= 0 && b[in_b] != 1) product.b += at * step_b, step_b *= b[in_b];
    }
    products.push_back(product);
  }
  return products;
}

void sort_by_result(std::vector<ops::MatrixProduct>& products) {
  std::stable_sort(products.begin(), products.end(),
                   [](const auto& p, const auto& q) { return p.y < q.y; });
}

// One matrix b for a whole stack a: the stack is one tall matrix.
bool is_tall(const Shape& a, const Shape& b) {
  return a.rank() > 2 && b.product(0, b.rank() - 2) == 1;
}
Shape tall(const Shape& s) { return {1, s.product(0, s.rank() - 1), s.at(-1)}; }

class MatmulNode final : public Node {
 public:
  MatmulNode(const Tensor& a, const Tensor& b) : a_(a), b_(b) {}
  const char* name() const override { return "matmul"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override {
    const Tensor &a = a_.get("matmul"), &b = b_.get("matmul");
    const Tensor dy = grads[0].to(MemoryFormat::contiguous);
    const auto& run = kernels_for<ops::MatmulKernels>(dy).run;
    const TensorOptions options{.dtype = dy.dtype(), .device = dy.device()};
    Tensor sa = stack_of(a), sb = stack_of(b), sy = stack_of(dy);
    std::vector<ops::MatrixProduct> products = products_of(a.shape(), b.shape(), dy.shape());
    if (is_tall(a.shape(), b.shape())) {
      sa = sa.reshape(tall(a.shape()));
      sy = sy.reshape(tall(dy.shape()));
      products = {{0, 0, 0}};
    }
    Tensor da, db;
    if (needs(0)) {  // da = dy * transpose(b)
      da = Tensor::empty(sa.shape(), options);
      std::vector<ops::MatrixProduct> jobs;
      for (const ops::MatrixProduct& p : products) jobs.push_back({p.y, p.b, p.a});
      sort_by_result(jobs);
      if (da.numel() > 0) run(current_context(), {sy, sb, false, true, jobs, da});
      da = da.reshape(a.shape()).to(a.format());
    }
    if (needs(1)) {  // db = transpose(a) * dy
      db = Tensor::empty(sb.shape(), options);
      std::vector<ops::MatrixProduct> jobs;
      for (const ops::MatrixProduct& p : products) jobs.push_back({p.a, p.y, p.b});
      sort_by_result(jobs);
      if (db.numel() > 0) run(current_context(), {sa, sy, true, false, jobs, db});
      db = db.reshape(b.shape()).to(b.format());
    }
    return {da, db};
  }
  void release() override {
    a_.release();
    b_.release();
  }

 private:
  SavedTensor a_, b_;
};

// Two operands that both hold samples need their own axis for them.
Replay replay_matmul(const ReplaySite& site) {
  const bool fixed_left = site.constants[0], fixed_right = site.constants[1];
  if ((!fixed_right && site.ranks[1] < 3) ||
      (!fixed_left && !fixed_right && site.ranks[0] != site.ranks[1]))
    return Replay::mixes_samples();
  return {[](const auto& in) { return matmul(in[0], in[1]); }, {}};
}

Tensor matmul_of_matrices(const Tensor& a, const Tensor& b) {
  const Shape shape = ops::matmul_output_shape(a.shape(), b.shape());
  Tensor y = Tensor::empty(shape, {.dtype = a.dtype(), .device = a.device()});
  const bool merged = is_tall(a.shape(), b.shape());
  const Tensor sa = merged ? stack_of(a).reshape(tall(a.shape())) : stack_of(a), sb = stack_of(b);
  Tensor sy = merged ? y.reshape(tall(shape)) : stack_of(y);
  const std::vector<ops::MatrixProduct> products = merged
                                                       ? std::vector<ops::MatrixProduct>{{0, 0, 0}}
                                                       : products_of(a.shape(), b.shape(), shape);
  if (y.numel() > 0)
    kernels_for<ops::MatmulKernels>(a).run(current_context(), {sa, sb, false, false, products, sy});
  return record(ops::MatmulAttributes{}, replay_matmul, {a, b}, y.to(a.format()),
                [&] { return std::make_shared<MatmulNode>(a, b); });
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  GRAFT_CHECK(a.rank() >= 1 && b.rank() >= 1, "matmul: ", a.shape(), " times ", b.shape());
  GRAFT_CHECK(a.dtype() == b.dtype(), "matmul: ", name_of(a.dtype()), " and ", name_of(b.dtype()),
              " do not mix");
  if (const Device device = meeting_place({a, b}); a.device() != b.device())
    return matmul(beside("matmul", a, device), beside("matmul", b, device));
  static constexpr int kFirst[] = {0}, kLast[] = {-1}, kRow[] = {-2};
  const Tensor left = a.rank() == 1 ? unsqueeze(a, kFirst) : a,
               right = b.rank() == 1 ? unsqueeze(b, kLast) : b;
  Tensor y = matmul_of_matrices(left, right);
  if (b.rank() == 1) y = squeeze(y, kLast);
  if (a.rank() == 1) y = squeeze(y, b.rank() == 1 ? kLast : kRow);
  return y;
}

Tensor gemm(const Tensor& a, const Tensor& b, const Tensor& c, const GemmOptions& options) {
  GRAFT_CHECK(a.rank() == 2 && b.rank() == 2, "gemm: ", a.shape(), " times ", b.shape());
  const auto scaled = [](const Tensor& t, double factor) {
    return factor == 1 ? t : mul(t, Tensor::scalar(factor, t.dtype()));
  };
  static constexpr int kSwapped[] = {1, 0};
  const Tensor left = options.transpose_a ? transpose(a, kSwapped) : a,
               right = options.transpose_b ? transpose(b, kSwapped) : b;
  const Tensor y = scaled(matmul(left, right), options.alpha);
  if (!c.defined() || options.beta == 0) return y;
  GRAFT_CHECK(ops::broadcast_shape(c.shape(), y.shape()) == y.shape(), "gemm: c ", c.shape(),
              " for a result ", y.shape());
  return add(y, scaled(c, options.beta));
}

}  // namespace graft::functional
