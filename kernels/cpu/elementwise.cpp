// ReLU, ReLU6, functions with vectorised maths, and arithmetic of two tensors of one shape or with
// one element: in parallel chunks, any memory order.
#include <algorithm>
#include <utility>

#include "graft/kernels/cpu/engine.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/ops/binary.h"
#include "graft/kernels/ops/unary.h"

namespace graft::cpu {
namespace {

constexpr int64_t kChunk = 32768;  // elements of a job

template <class F>
void in_chunks(ExecContext& context, int64_t count, F&& f) {
  context.parallel_for(ceil_div(count, kChunk),
                       [&](int64_t i) { f(i * kChunk, std::min(kChunk, count - i * kChunk)); });
}

// The function's name among the kernels of vectorised maths; false: it has none.
bool is_mapped(ops::Unary function, MapFunction* name = nullptr) {
  static constexpr std::pair<ops::Unary, MapFunction> names[] = {
      {ops::Unary::sigmoid, MapFunction::sigmoid},
      {ops::Unary::tanh, MapFunction::tanh},
      {ops::Unary::neg, MapFunction::neg},
      {ops::Unary::exp, MapFunction::exp},
      {ops::Unary::abs, MapFunction::abs},
      {ops::Unary::reciprocal, MapFunction::reciprocal},
      {ops::Unary::erf, MapFunction::erf},
      {ops::Unary::leaky_relu, MapFunction::leaky_relu},
      {ops::Unary::elu, MapFunction::elu},
      {ops::Unary::hard_sigmoid, MapFunction::hard_sigmoid},
      {ops::Unary::hard_swish, MapFunction::hard_swish},
      {ops::Unary::clip, MapFunction::clip},
      {ops::Unary::gelu, MapFunction::gelu},
      {ops::Unary::gelu_tanh, MapFunction::gelu_tanh},
      {ops::Unary::silu, MapFunction::silu}};
  for (const auto& [known, mapped] : names) {
    if (known != function) continue;
    if (name) *name = mapped;
    return true;
  }
  return false;
}
MapAttributes map_attributes(const ops::UnaryAttributes& attributes) {
  MapAttributes result{
      {}, static_cast<float>(attributes.alpha), static_cast<float>(attributes.beta)};
  GRAFT_ASSERT(is_mapped(attributes.function, &result.function));
  return result;
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

const char* declines_binary(const ExecContext&, const ops::BinaryForwardArgs& args) {
  if (args.attributes.function > ops::Binary::div) return "only the four rules of arithmetic";
  if (!is_image_dtype(args.y.dtype()) || args.a.dtype() != args.y.dtype() ||
      args.b.dtype() != args.y.dtype())
    return "only f32, f64 and bf16";
  for (const Tensor* input : {&args.a, &args.b}) {
    if (input->numel() == 1) continue;
    if (input->shape() != args.y.shape()) return "an input of several elements is stretched";
    if (input->format() != args.y.format()) return "memory orders differ";
  }
  return nullptr;
}

void binary_forward(ExecContext& context, ops::BinaryForwardArgs& args) {
  visit_image_dtype(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto run = channel_kernels_for<T>(context).binary;
    const T *a = image_data<T>(args.a), *b = image_data<T>(args.b);
    T* y = mutable_image_data<T>(args.y);
    const int function = static_cast<int>(args.attributes.function);
    const bool one_a = args.a.numel() == 1 && args.y.numel() > 1,
               one_b = args.b.numel() == 1 && args.y.numel() > 1;
    in_chunks(context, args.y.numel(), [&](int64_t at, int64_t count) {
      run(one_a ? a : a + at, one_a, one_b ? b : b + at, one_b, count, function, y + at);
    });
  });
}

}  // namespace

void register_elementwise(ops::UnaryKernels& unary, ops::BinaryKernels& binary) {
  unary.forward.add({"cpu", declines_unary, unary_forward});
  unary.backward.add({"cpu", declines_unary_backward, unary_backward});
  binary.forward.add({"cpu", declines_binary, binary_forward});
}

}  // namespace graft::cpu
