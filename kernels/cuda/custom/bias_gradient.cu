#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/bias_gradient.h"
#include "graft/kernels/cuda/custom/column_sums.h"

namespace graft::cuda {
namespace {

// dbias of type To: the sums over the rows of dy [rows, channels].
template <class T, class To>
void sum_rows(const Tensor& dy, int64_t channels, Tensor& dbias) {
  const int64_t rows = channels ? dy.numel() / channels : 0;
  gpu::Device& device = device_of(dy);
  visit_group<T>(is_aligned(dy) && channels % kGroup<T> == 0, [&](auto n) {
    using Body = ColumnSums<RowSums<T>, n()>;
    const ColumnTiles tiles = column_tiles(rows, channels, n());
    Tensor partial = Tensor::empty({tiles.chunks(), channels}, {.device = dy.device()});
    launch<Body>(device, tiles.chunks() * tiles.across(), kThreads,
                 {{span<T>(dy), channels},
                  tiles,
                  static_cast<uint32_t>(tiles.across()),
                  mutable_span<float>(partial)},
                 Body::shared_bytes);
    launch_join(device, tiles.chunks(), channels,
                JoinSums<To, 1>{span<float>(partial), mutable_span<To>(dbias), channels, 1, 0, 1});
  });
}

}  // namespace

void conv_bias_gradient(const Tensor& dy, Tensor& dbias) {
  visit_kernel_dtype(dy.dtype(),
                     [&](auto zero) { sum_rows<decltype(zero), float>(dy, dy.size(1), dbias); });
}

void linear_bias_gradient(const Tensor& dy, Tensor& dbias) {
  visit_kernel_dtype(dy.dtype(), [&](auto zero) {
    sum_rows<decltype(zero), decltype(zero)>(dy, dy.size(1), dbias);
  });
}

}  // namespace graft::cuda
