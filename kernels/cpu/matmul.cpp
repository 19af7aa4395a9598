// Matrix products by linear's kernels: a*b is its backward-data pass, a*transpose(b) its forward
// pass, transpose(a)*b its weight gradient.
#include "graft/kernels/ops/matmul.h"

#include "graft/kernels/cpu/conv_problem.h"
#include "graft/kernels/cpu/linear.h"
#include "graft/kernels/cpu/register.h"

namespace graft::cpu {
namespace {

const char* declines_matmul(const ExecContext&, const ops::MatmulArgs& args) {
  if (!is_engine_dtype(args.y.dtype())) return "only f32 and f64";
  if (args.transpose_a && args.transpose_b) return "both factors are transposed";
  if (args.a.numel() == 0 || args.b.numel() == 0) return "no elements";
  return static_cast<int64_t>(args.products.size()) < args.y.shape()[0] ? "a result has no product"
                                                                        : nullptr;
}

// Matrix i of a stack, sharing storage, as the images of one pixel that the convolution's passes
// take.
Tensor matrix(const Tensor& stack, int64_t i) {
  return stack.narrow_batch(i, 1).reshape({stack.shape()[1], stack.shape()[2], 1, 1});
}

void multiply(ExecContext& context, const ops::MatmulArgs& args, const ops::MatrixProduct& product,
              Tensor y) {
  const Tensor a = matrix(args.a, product.a), b = matrix(args.b, product.b);
  if (args.transpose_a) {
    conv_backward_weight(context, {b, a, ops::ConvAttributes{}, &y, nullptr});
  } else if (args.transpose_b) {
    Tensor flat = y.reshape({y.shape()[0], y.shape()[1]});
    linear_forward(context, {a.reshape({a.shape()[0], a.shape()[1]}),
                             b.reshape({b.shape()[0], b.shape()[1]}), nullptr, flat});
  } else {
    conv_backward_data(context, {a, b, ops::ConvAttributes{}, y});
  }
}

// The products of one result, which stand one after another.
void multiply_all(ExecContext& context, const ops::MatmulArgs& args,
                  std::span<const ops::MatrixProduct> products) {
  int64_t before = -1;
  for (const ops::MatrixProduct& product : products) {
    Tensor y = matrix(args.y, product.y);
    if (product.y != before) {
      multiply(context, args, product, y);
    } else {  // one more product of the same result
      const Tensor sum = Tensor::empty_like(y);
      multiply(context, args, product, sum);
      visit_engine_dtype(y.dtype(), [&](auto zero) {
        using T = decltype(zero);
        T* to = y.mutable_data<T>();
        const T* from = sum.data<T>();
        for (int64_t i = 0; i < y.numel(); ++i) to[i] += from[i];
      });
    }
    before = product.y;
  }
}

// Many results: one a job, each product inline. Few: one after another, each in parallel. The bits
// are the same.
void matmul(ExecContext& context, ops::MatmulArgs& args) {
  std::vector<size_t> starts;
  for (size_t i = 0; i < args.products.size(); ++i)
    if (i == 0 || args.products[i].y != args.products[i - 1].y) starts.push_back(i);
  starts.push_back(args.products.size());
  const auto results = static_cast<int64_t>(starts.size()) - 1;
  const auto run = [&](int64_t r) {
    const size_t begin = starts[static_cast<size_t>(r)];
    multiply_all(context, args,
                 args.products.subspan(begin, starts[static_cast<size_t>(r) + 1] - begin));
  };
  if (results < 16) {
    for (int64_t r = 0; r < results; ++r) run(r);
  } else {
    context.parallel_for(results, run);
  }
}

}  // namespace

void register_matmul(ops::MatmulKernels& kernels) {
  kernels.run.add({"cpu", declines_matmul, matmul});
}

}  // namespace graft::cpu
