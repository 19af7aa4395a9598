// Convolution's backward-data: for every output phase an implicit GEMM over dy with the weight
// transposed.
#include <algorithm>

#include "graft/kernels/cpu/conv_problem.h"
#include "graft/kernels/cpu/register.h"
#include "graft/kernels/cpu/winograd.h"
#include "graft/kernels/ops/conv.h"

namespace graft::cpu {
namespace {

template <class T>
void run_backward_data(ExecContext& context, ops::ConvBackwardDataArgs& args, bool added) {
  const KernelTable<T>& table = kernel_table_for<T>(context);
  const ConvShape shape =
      ConvShape(args.dx.shape(), args.weight.shape(), args.dy.shape(), args.attributes)
          .without_idle_taps();
  const std::vector<PackSource<T>> sources = backward_data_sources<T>(shape, args.weight);
  std::vector<IndirectConv<T>> problems =
      backward_data_problems<T>(shape, image_data<T>(args.dy), mutable_image_data<T>(args.dx));
  if (added)
    for (IndirectConv<T>& problem : problems) {
      problem.residual = problem.out;
      if (problem.taps.empty()) problem.grid_h = 0;  // nothing to add
    }
  if (std::all_of(problems.begin(), problems.end(), packs_while_running<T>)) {
    for (size_t i = 0; i < problems.size(); ++i) problems[i].source = &sources[i];
    run<T>(context, table, problems);
    return;
  }
  const std::vector<int64_t> offsets = packed_offsets(table, sources);
  const Scratch<T> packed(offsets.back());
  std::vector<T*> to;
  for (size_t i = 0; i < problems.size(); ++i) {
    to.push_back(packed.data() + offsets[i]);
    problems[i].packed = to.back();
  }
  pack<T>(context, table, sources, to);
  run<T>(context, table, problems);
}

const char* declines(const ExecContext&, const ops::ConvBackwardDataArgs& args) {
  if (!is_nhwc(args.dy)) return "memory order of dy is not channels_last";
  return engine_declines_conv(args.dx, args.dy, &args.weight);
}

void backward_data(ExecContext& context, ops::ConvBackwardDataArgs& args) {
  visit_engine_dtype(args.dx.dtype(),
                     [&](auto zero) { run_backward_data<decltype(zero)>(context, args, false); });
}

const char* declines_winograd(const ExecContext& context, const ops::ConvBackwardDataArgs& args) {
  if (const char* reason = declines(context, args)) return reason;
  return winograd_declines(
      ConvShape(args.dx.shape(), args.weight.shape(), args.dy.shape(), args.attributes),
      args.dx.dtype());
}

void run_winograd(ExecContext& context, ops::ConvBackwardDataArgs& args, bool added) {
  const KernelTable<float>& table = kernel_table_for<float>(context);
  const ConvShape shape(args.dx.shape(), args.weight.shape(), args.dy.shape(), args.attributes);
  PackSource<float> source = backward_data_sources<float>(shape, args.weight)[0];
  IndirectConv<float> problem =
      backward_data_problems<float>(shape, args.dy.data<float>(), args.dx.mutable_data<float>())[0];
  sort_taps(problem, source);
  if (added) problem.residual = problem.out;
  const Scratch<float> transformed(winograd_packed_size(table, source));
  winograd_pack(context, table, source, transformed.data());
  problem.packed = transformed.data();
  winograd_run(context, table, problem);
}

void winograd_backward_data(ExecContext& context, ops::ConvBackwardDataArgs& args) {
  run_winograd(context, args, false);
}
void winograd_added(ExecContext& context, ops::ConvBackwardDataArgs& args) {
  run_winograd(context, args, true);
}

// dx is read as the residual of its own result: each element once, right before it is written. Sums
// that go through memory on the way would overwrite it.
const char* declines_added(const ExecContext& context, const ops::ConvBackwardDataArgs& args) {
  if (const char* reason = declines(context, args)) return reason;
  const int64_t terms = args.weight.numel() / args.weight.size(1);
  return sums_in_one_run(terms) ? nullptr : "sums too long for one run";
}
void added(ExecContext& context, ops::ConvBackwardDataArgs& args) {
  visit_engine_dtype(args.dx.dtype(),
                     [&](auto zero) { run_backward_data<decltype(zero)>(context, args, true); });
}

// bfloat16 images with float weights, in pairs of dy's channels.
const char* declines_bf16(const ExecContext& context, const ops::ConvBackwardDataArgs& args) {
  if (!has_bf16(context)) return "the instruction set has no bfloat16";
  if (args.dx.dtype() != DType::bf16 || args.dy.dtype() != DType::bf16 ||
      args.weight.dtype() != DType::f32)
    return "only bf16 images with f32 weights";
  if (args.dx.rank() != 4 || !is_nhwc(args.dx) || !is_nhwc(args.dy))
    return "memory order is not channels_last";
  return args.dy.size(1) / args.attributes.groups % 2 != 0 ? "an odd number of channels" : nullptr;
}

void bf16_backward_data(ExecContext& context, ops::ConvBackwardDataArgs& args) {
  run_backward_data<Bf16>(context, args, false);
}
void bf16_added(ExecContext& context, ops::ConvBackwardDataArgs& args) {
  run_backward_data<Bf16>(context, args, true);
}

}  // namespace

void conv_backward_data(ExecContext& context, ops::ConvBackwardDataArgs args) {
  backward_data(context, args);
}

void register_conv_backward_data(ops::ConvKernels& kernels) {
  kernels.backward_data.add({"cpu_avx512_bf16", declines_bf16, bf16_backward_data});
  kernels.backward_data.add({"cpu_winograd", declines_winograd, winograd_backward_data});
  kernels.backward_data.add({"cpu_nhwc", declines, backward_data});
  kernels.backward_data_added.add({"cpu_avx512_bf16", declines_bf16, bf16_added});
  kernels.backward_data_added.add({"cpu_winograd", declines_winograd, winograd_added});
  kernels.backward_data_added.add({"cpu_nhwc", declines_added, added});
}

}  // namespace graft::cpu
