// Linear layers and stacks of matrix products on cuBLASLt.
#include "graft/kernels/cuda/backend.h"
#include "graft/kernels/cuda/custom/bias_gradient.h"
#include "graft/kernels/cuda/custom/declines.h"
#include "graft/kernels/cuda/custom/matrix_stack.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

using cublas::Product;

const char* declines_tensors(std::initializer_list<const Tensor*> tensors) {
  const Tensor& first = **tensors.begin();
  if (const char* reason = declines_dtype(first)) return reason;
  for (const Tensor* tensor : tensors) {
    if (!tensor) continue;
    if (tensor->dtype() != first.dtype()) return "a tensor has another dtype";
    if (tensor->numel() == 0) return "no elements";
    if (!is_aligned(*tensor)) return "a tensor does not start at 16 bytes";
  }
  return products_of(first).available() ? nullptr : "cuBLASLt is not there (graft doctor says why)";
}
const char* declines_product(const Tensor& x, const Product& product) {
  return products_of(x).find(product) ? nullptr : "cuBLASLt has no way to do it";
}

void run(const Tensor& x, const Product& product, const char* name,
         const cublas::ProductOperands& operands) {
  cublas::ProductCache& products = products_of(x);
  const std::optional<cublas::Choice> choice = products.find(product);
  GRAFT_ASSERT(choice);
  products.run(product, *choice, name, operands);
}

Product forward_product(const ops::LinearForwardArgs& args) {
  return {args.x.dtype(), args.x.size(0), args.weight.size(0), args.x.size(1),
          false,          true,           args.bias != nullptr};
}
const char* declines_forward(const ExecContext&, const ops::LinearForwardArgs& args) {
  if (const char* reason = declines_tensors({&args.x, &args.weight, args.bias, &args.y}))
    return reason;
  return declines_product(args.x, forward_product(args));
}
void forward(ExecContext&, ops::LinearForwardArgs& args) {
  const gpu::OperationName operation("linear forward");
  run(args.x, forward_product(args), "cuBLASLt linear forward",
      {args.x.raw(), args.weight.raw(), args.bias ? args.bias->raw() : nullptr,
       args.y.mutable_raw()});
}

Product data_product(const ops::LinearBackwardDataArgs& args) {
  return {args.dy.dtype(), args.dy.size(0), args.weight.size(1), args.dy.size(1)};
}
const char* declines_backward_data(const ExecContext&, const ops::LinearBackwardDataArgs& args) {
  if (const char* reason = declines_tensors({&args.dy, &args.weight, &args.dx})) return reason;
  return declines_product(args.dy, data_product(args));
}
void backward_data(ExecContext&, ops::LinearBackwardDataArgs& args) {
  const gpu::OperationName operation("linear backward-data");
  run(args.dy, data_product(args), "cuBLASLt linear backward-data",
      {args.dy.raw(), args.weight.raw(), nullptr, args.dx.mutable_raw()});
}

Product weight_product(const ops::LinearBackwardWeightArgs& args) {
  return {args.dy.dtype(), args.dy.size(1), args.x.size(1), args.dy.size(0), true, false};
}
const char* declines_backward_weight(const ExecContext&,
                                     const ops::LinearBackwardWeightArgs& args) {
  if (!args.dweight) return "no weight gradient is asked for";
  if (const char* reason = declines_tensors({&args.dy, &args.x, args.dweight, args.dbias}))
    return reason;
  return declines_product(args.dy, weight_product(args));
}
void backward_weight(ExecContext&, ops::LinearBackwardWeightArgs& args) {
  const gpu::OperationName operation("linear backward-weight");
  run(args.dy, weight_product(args), "cuBLASLt linear backward-weight",
      {args.dy.raw(), args.x.raw(), nullptr, args.dweight->mutable_raw()});
  if (args.dbias) linear_bias_gradient(args.dy, *args.dbias);
}

// A stack whose products lie at even distances, one for each result.
Product stack_product(const ops::MatmulArgs& args, const EvenStack& stack) {
  const MatrixExtents e = MatrixExtents::of(args);
  return {args.y.dtype(),
          e.m,
          e.n,
          e.k,
          args.transpose_a,
          args.transpose_b,
          false,
          args.y.size(0),
          stack.a_step * e.m * e.k,
          stack.b_step * e.k * e.n};
}
const char* declines_matmul(const ExecContext&, const ops::MatmulArgs& args) {
  if (const char* reason = declines_tensors({&args.a, &args.b, &args.y})) return reason;
  const std::optional<EvenStack> stack = EvenStack::of(args);
  if (!stack) return "its products do not lie at even distances";
  const int64_t size = size_of(args.y.dtype());
  const MatrixExtents e = MatrixExtents::of(args);
  if (stack->a * e.m * e.k * size % 16 != 0 || stack->b * e.k * e.n * size % 16 != 0)
    return "a matrix does not start at 16 bytes";
  return declines_product(args.y, stack_product(args, *stack));
}
void matmul(ExecContext&, ops::MatmulArgs& args) {
  const gpu::OperationName operation("matmul");
  const EvenStack stack = *EvenStack::of(args);
  const MatrixExtents e = MatrixExtents::of(args);
  const int64_t size = size_of(args.y.dtype());
  const auto* a = static_cast<const std::byte*>(args.a.raw()) + stack.a * e.m * e.k * size;
  const auto* b = static_cast<const std::byte*>(args.b.raw()) + stack.b * e.k * e.n * size;
  run(args.y, stack_product(args, stack), "cuBLASLt matmul", {a, b, nullptr, args.y.mutable_raw()});
}

}  // namespace

void register_cublas(KernelSet& set) {
  set.linear.forward.add({"cublaslt", declines_forward, forward});
  set.linear.backward_data.add({"cublaslt", declines_backward_data, backward_data});
  set.linear.backward_weight.add({"cublaslt", declines_backward_weight, backward_weight});
  set.matmul.run.add({"cublaslt", declines_matmul, matmul});
}

}  // namespace graft::cuda
