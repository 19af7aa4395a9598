#include "graft/kernels/cuda/emulator/fake_blas.h"

#include "graft/kernels/cuda/emulator/elements.h"

namespace graft::cuda::emulator {
namespace {

using cublas::Product;
using gpu::Status;

void compute_product(const Product& p, const Elements& a, const Elements& b, const Elements& bias,
                     const Elements& y) {
  for (int64_t i = 0; i < p.count; ++i)
    for (int64_t row = 0; row < p.m; ++row)
      for (int64_t column = 0; column < p.n; ++column) {
        double sum = p.bias ? bias.get(column) : 0;
        for (int64_t k = 0; k < p.k; ++k)
          sum += a.get(i * p.a_stride + (p.transpose_a ? k * p.m + row : row * p.k + k)) *
                 b.get(i * p.b_stride + (p.transpose_b ? column * p.k + k : k * p.n + column));
        y.set((i * p.m + row) * p.n + column, sum);
      }
}

}  // namespace

Status FakeBlas::choose(const Product& product, const cublas::ProductRules&,
                        cublas::Choice& choice) {
  const Status status = driver_.count_call();
  if (!status.ok()) return status;
  if (state_.refuses && state_.refuses(product))
    return {Status::Code::failed, "it proposes nothing"};
  ++state_.chosen;
  choice.workspace = product.transpose_a ? 512 : 0;
  choice.algorithm[0] = static_cast<uint64_t>(product.m);
  return {};
}

Status FakeBlas::multiply(const Product& p, const cublas::ProductRules&,
                          const cublas::Choice& choice, const cublas::ProductOperands& operands,
                          void* workspace, gpu::StreamId stream) {
  if (choice.algorithm[0] != static_cast<uint64_t>(p.m))
    return {Status::Code::failed, "the algorithm is another product's"};
  if ((choice.workspace > 0) != (workspace != nullptr))
    return {Status::Code::failed, "no workspace"};
  if (p.bias != (operands.bias != nullptr))
    return {Status::Code::failed, "the bias is missing, or one too many"};
  const int64_t size = size_of(p.type);
  std::vector<HostRange> ranges{
      {const_cast<void*>(operands.a), ((p.count - 1) * p.a_stride + p.m * p.k) * size, false},
      {const_cast<void*>(operands.b), ((p.count - 1) * p.b_stride + p.k * p.n) * size, false},
      {operands.y, p.count * p.m * p.n * size, true}};
  if (p.bias) ranges.push_back({const_cast<void*>(operands.bias), p.n * size, false});
  if (workspace) ranges.push_back({workspace, choice.workspace, true});
  for (const HostRange& range : ranges)
    if (reinterpret_cast<uintptr_t>(range.data) % 16 != 0)
      return {Status::Code::failed, "misaligned pointer"};
  ++state_.executed;
  return driver_.queue_on_host(
      "cuBLASLt", stream, std::move(ranges), [p](std::span<std::byte* const> data) {
        compute_product(p, {data[0], p.type}, {data[1], p.type},
                        {p.bias ? data[3] : nullptr, p.type}, {data[2], p.type});
      });
}

}  // namespace graft::cuda::emulator
