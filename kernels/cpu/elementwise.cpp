// ReLU, ReLU6 and functions with vectorised maths: in parallel chunks, any memory order.
#include <algorithm>

#include "graft/kernels/cpu/engine.h"
#include "graft/kernels/cpu/map_functions.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/ops/unary.h"

namespace graft::cpu {
namespace {

constexpr int64_t kChunk = 32768;  // elements of a job

template <class F>
void in_chunks(ExecContext& context, int64_t count, F&& f) {
  context.parallel_for(ceil_div(count, kChunk),
                       [&](int64_t i) { f(i * kChunk, std::min(kChunk, count - i * kChunk)); });
}

const char* declines_function(const Tensor& x, ops::Unary function) {
  if (!is_image_dtype(x.dtype())) return "only f32, f64 and bf16";
  if (function == ops::Unary::relu || function == ops::Unary::relu6) return nullptr;
  if (!is_mapped(function)) return "no vectorised maths of this function";
  return x.dtype() == DType::f64 ? "in f64 only relu and relu6" : nullptr;
}
const char* declines_unary(const ExecContext&, const ops::UnaryForwardArgs& args) {
  return declines_function(args.x, args.attributes.function);
}
const char* declines_unary_backward(const ExecContext&, const ops::UnaryBackwardArgs& args) {
  if (args.dy.format() != args.x.format() || args.y.format() != args.x.format())
    return "memory orders differ";
  return declines_function(args.x, args.attributes.function);
}

template <class T>
void map_forward(ExecContext& context, ops::UnaryForwardArgs& args) {
  const auto run = map_kernels_for<T>(context).map;
  const MapAttributes attributes = map_attributes(args.attributes);
  const T* x = image_data<T>(args.x);
  T* y = mutable_image_data<T>(args.y);
  in_chunks(context, args.x.numel(),
            [&](int64_t at, int64_t count) { run(attributes, x + at, count, y + at); });
}
template <class T>
void map_backward(ExecContext& context, ops::UnaryBackwardArgs& args) {
  const auto run = map_kernels_for<T>(context).map_backward;
  const MapAttributes attributes = map_attributes(args.attributes);
  const T *x = image_data<T>(args.x), *y = image_data<T>(args.y), *dy = image_data<T>(args.dy);
  T* dx = mutable_image_data<T>(args.dx);
  in_chunks(context, args.x.numel(), [&](int64_t at, int64_t count) {
    run(attributes, x + at, y + at, dy + at, count, dx + at);
  });
}

void unary_forward(ExecContext& context, ops::UnaryForwardArgs& args) {
  if (is_mapped(args.attributes.function))
    return args.x.dtype() == DType::bf16 ? map_forward<Bf16>(context, args)
                                         : map_forward<float>(context, args);
  visit_image_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto run = channel_kernels_for<T>(context).activate;
    const T* x = image_data<T>(args.x);
    T* y = mutable_image_data<T>(args.y);
    const bool six = args.attributes.function == ops::Unary::relu6;
    in_chunks(context, args.x.numel(),
              [&](int64_t at, int64_t count) { run(x + at, count, six, y + at); });
  });
}

void unary_backward(ExecContext& context, ops::UnaryBackwardArgs& args) {
  if (is_mapped(args.attributes.function))
    return args.x.dtype() == DType::bf16 ? map_backward<Bf16>(context, args)
                                         : map_backward<float>(context, args);
  visit_image_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto run = channel_kernels_for<T>(context).activate_backward;
    const T *x = image_data<T>(args.x), *dy = image_data<T>(args.dy);
    T* dx = mutable_image_data<T>(args.dx);
    const bool six = args.attributes.function == ops::Unary::relu6;
    in_chunks(context, args.x.numel(),
              [&](int64_t at, int64_t count) { run(x + at, dy + at, count, six, dx + at); });
  });
}

}  // namespace

void register_elementwise(ops::UnaryKernels& kernels) {
  kernels.forward.add({"cpu", declines_unary, unary_forward});
  kernels.backward.add({"cpu", declines_unary_backward, unary_backward});
}

}  // namespace graft::cpu
