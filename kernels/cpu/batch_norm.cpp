// Batch norm of channels_last images: one pass for the statistics, one to apply, two backward;
// blocks of pixels are cut by the shape and combined in order, in double.
#include "graft/kernels/ops/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "graft/kernels/cpu/engine.h"
#include "graft/kernels/cpu/moments.h"
#include "graft/kernels/cpu/register.h"

namespace graft::cpu {
namespace {

// [rows][channels], in blocks of about 64 KiB, which two passes over a block find in the cache.
struct Rows {
  int64_t rows, channels, block, blocks;
  explicit Rows(const Tensor& x)
      : rows(x.shape()[0] * x.shape()[2] * x.shape()[3]),
        channels(x.shape()[1]),
        block(std::max<int64_t>(8, 16384 / std::max<int64_t>(channels, 1))),
        blocks(ceil_div(rows, block)) {}
  int64_t begin(int64_t b) const { return b * block * channels; }
  int64_t count(int64_t b) const { return std::min(block, rows - b * block); }

  static constexpr int64_t step = 64;
  // Calls f(first channel, end) in parallel, at most `step` channels: per-channel work over all
  // blocks.
  template <class F>
  void for_channels(ExecContext& context, F&& f) const {
    context.parallel_for(ceil_div(channels, step),
                         [&](int64_t i) { f(i * step, std::min(channels, (i + 1) * step)); });
  }
};

template <class T>
void run_statistics(ExecContext& context, ops::BatchNormStatisticsArgs& args) {
  using P = typename ParameterOf<T>::type;
  const ChannelKernels<T>& kernels = channel_kernels_for<T>(context);
  const Rows r(args.x);
  const T* x = image_data<T>(args.x);
  const BlockMoments<P> moments(r.rows, r.block, r.channels);
  context.parallel_for(r.blocks, [&](int64_t b) {
    kernels.fetch(x + r.begin(b), r.count(b) * r.channels);
    kernels.moments(x + r.begin(b), r.count(b), r.channels, r.channels, moments.means(b),
                    moments.squares(b));
  });
  moments.join(context, args.mean.mutable_data<P>(), args.variance.mutable_data<P>());
}

// [channels] values of a parameter, or a constant where it is absent.
template <class P>
std::vector<P> channel_values(const Tensor* t, int64_t channels, P otherwise) {
  std::vector<P> values(static_cast<size_t>(channels), otherwise);
  if (!t) return values;
  const Tensor converted = t->to(dtype_of<P>::value);
  std::copy_n(converted.data<P>(), channels, values.begin());
  return values;
}

// Forward and backward must agree on it to the bit: the mask depends on it.
template <class P>
P scale_of(P weight, P variance, double eps) {
  return static_cast<P>(static_cast<double>(weight) /
                        std::sqrt(static_cast<double>(variance) + eps));
}

// Results larger than this go past the caches: a consumer would not find them there. About half of
// a server's last level.
constexpr int64_t kStreamedBytes = int64_t{16} << 20;
bool streamed(const Tensor& t) { return t.bytes() > kStreamedBytes; }

template <class T>
void run_apply(ExecContext& context, ops::BatchNormApplyArgs& args) {
  using P = typename ParameterOf<T>::type;
  const ChannelKernels<T>& kernels = channel_kernels_for<T>(context);
  const Rows r(args.x);
  const auto mean = channel_values<P>(&args.mean, r.channels, P(0)),
             variance = channel_values<P>(&args.variance, r.channels, P(0));
  std::vector<P> scale = channel_values<P>(args.weight, r.channels, P(1));
  const std::vector<P> bias = channel_values<P>(args.bias, r.channels, P(0));
  for (size_t c = 0; c < scale.size(); ++c)
    scale[c] = scale_of(scale[c], variance[c], args.attributes.eps);
  const T* x = image_data<T>(args.x);
  const T* residual = args.residual ? image_data<T>(*args.residual) : nullptr;
  T* y = mutable_image_data<T>(args.y);
  context.parallel_for(r.blocks, [&](int64_t b) {
    const int64_t at = r.begin(b);
    kernels.norm_apply({x + at, residual ? residual + at : nullptr, y + at, r.count(b), r.channels,
                        mean.data(), scale.data(), bias.data(), args.attributes.relu,
                        streamed(args.y)});
  });
}

template <class T>
void run_backward(ExecContext& context, ops::BatchNormBackwardArgs& args) {
  using P = typename ParameterOf<T>::type;
  const ChannelKernels<T>& kernels = channel_kernels_for<T>(context);
  const Rows r(args.x);
  const auto mean = channel_values<P>(&args.mean, r.channels, P(0)),
             variance = channel_values<P>(&args.variance, r.channels, P(0));
  const std::vector<P> weight = channel_values<P>(args.weight, r.channels, P(1));
  const T *x = image_data<T>(args.x), *dy = image_data<T>(args.dy);
  // Without a residual the ReLU's mask follows from x, which is read anyway.
  const bool mask_from_x = args.attributes.relu && !args.residual;
  const T* y = args.attributes.relu && !mask_from_x ? image_data<T>(*args.y) : nullptr;
  const std::vector<P> bias = channel_values<P>(args.bias, r.channels, P(0));
  T* dx = args.dx ? mutable_image_data<T>(*args.dx) : nullptr;
  T* dresidual = args.dresidual ? mutable_image_data<T>(*args.dresidual) : nullptr;
  P* dweight = args.dweight ? args.dweight->mutable_data<P>() : nullptr;
  P* dbias = args.dbias ? args.dbias->mutable_data<P>() : nullptr;

  const auto channels = static_cast<size_t>(r.channels);
  std::vector<P> scale(channels), shift(channels), slope(channels);
  for (size_t c = 0; c < channels; ++c)
    scale[c] = scale_of(weight[c], variance[c], args.attributes.eps);
  const auto block = [&](int64_t b) {
    const int64_t at = r.begin(b);
    NormBackwardArgs<T> part{};
    part.x = x + at, part.y = y ? y + at : nullptr, part.dy = dy + at;
    part.pixels = r.count(b), part.channels = r.channels, part.mean = mean.data();
    part.scale = scale.data(), part.bias = mask_from_x ? bias.data() : nullptr,
    part.stream = streamed(args.x);
    part.dx = dx ? dx + at : nullptr, part.dresidual = dresidual ? dresidual + at : nullptr;
    return part;
  };
  const bool sums_wanted = dweight || dbias || (dx && args.attributes.training);
  const Scratch<P> sums(sums_wanted ? 2 * r.blocks * r.channels : 0);
  if (sums_wanted)
    context.parallel_for(r.blocks, [&](int64_t b) {
      NormBackwardArgs<T> part = block(b);
      part.sum_dy = sums.data() + 2 * b * r.channels;
      part.sum_dy_x = part.sum_dy + r.channels;
      std::fill_n(part.sum_dy, 2 * r.channels, P(0));
      kernels.norm_sums(part);
    });
  r.for_channels(context, [&](int64_t begin, int64_t end) {
    double all[Rows::step] = {}, all_x[Rows::step] = {};
    for (int64_t b = 0; sums_wanted && b < r.blocks; ++b) {
      const P *dy_sums = sums.data() + 2 * b * r.channels + begin,
              *dy_x_sums = dy_sums + r.channels;
      for (int64_t c = 0; c < end - begin; ++c)
        all[c] += static_cast<double>(dy_sums[c]), all_x[c] += static_cast<double>(dy_x_sums[c]);
    }
    for (int64_t c = begin; c < end; ++c) {
      const auto i = static_cast<size_t>(c);
      const double sum = all[c - begin], sum_x = all_x[c - begin];
      const double inverse = 1 / std::sqrt(static_cast<double>(variance[i]) + args.attributes.eps);
      if (dweight) dweight[c] = static_cast<P>(sum_x * inverse);
      if (dbias) dbias[c] = static_cast<P>(sum);
      const auto count = static_cast<double>(r.rows);
      shift[i] = args.attributes.training ? static_cast<P>(sum / count) : P(0);
      slope[i] =
          args.attributes.training ? static_cast<P>(sum_x * inverse * inverse / count) : P(0);
    }
  });
  const bool has_masked = sums_wanted && dresidual;  // the first pass has written the masked dy
  if (!dx && (!dresidual || has_masked)) return;
  context.parallel_for(r.blocks, [&](int64_t b) {
    NormBackwardArgs<T> part = block(b);
    if (has_masked)
      part.dy = part.dresidual, part.dresidual = nullptr, part.y = nullptr, part.bias = nullptr;
    part.shift = shift.data(), part.slope = slope.data();
    kernels.norm_backward(part);
  });
}

// The images of one call share dtype and order; parameters that are written are f32, or f64 beside
// f64.
const char* declines_image(const Tensor& x) {
  if (x.rank() != 4) return "only two spatial axes";
  if (!is_image_dtype(x.dtype())) return "only f32, f64 and bf16";
  if (!is_nhwc(x)) return "memory order is not channels_last";
  return x.numel() == 0 ? "no elements" : nullptr;
}
const char* declines_parameter(const Tensor& x, const Tensor* parameter) {
  return parameter && parameter->dtype() != parameter_dtype(x.dtype())
             ? "a parameter's dtype differs"
             : nullptr;
}

template <class Args>
const char* declines_statistics(const ExecContext&, const Args& args) {
  if (const char* reason = declines_image(args.x)) return reason;
  if (const char* reason = declines_parameter(args.x, &args.mean)) return reason;
  return declines_parameter(args.x, &args.variance);
}

const char* declines_apply(const ExecContext&, const ops::BatchNormApplyArgs& args) {
  return declines_image(args.x);
}

const char* declines_backward(const ExecContext&, const ops::BatchNormBackwardArgs& args) {
  if (const char* reason = declines_image(args.x)) return reason;
  if (!is_nhwc(args.dy)) return "memory order of dy is not channels_last";
  if (const char* reason = declines_parameter(args.x, args.dweight)) return reason;
  return declines_parameter(args.x, args.dbias);
}

void statistics(ExecContext& context, ops::BatchNormStatisticsArgs& args) {
  visit_image_dtype(args.x.dtype(),
                    [&](auto zero) { run_statistics<decltype(zero)>(context, args); });
}
void apply(ExecContext& context, ops::BatchNormApplyArgs& args) {
  visit_image_dtype(args.x.dtype(), [&](auto zero) { run_apply<decltype(zero)>(context, args); });
}
void backward(ExecContext& context, ops::BatchNormBackwardArgs& args) {
  visit_image_dtype(args.x.dtype(),
                    [&](auto zero) { run_backward<decltype(zero)>(context, args); });
}

}  // namespace

void register_batch_norm(ops::BatchNormKernels& kernels) {
  kernels.statistics.add(
      {"cpu_nhwc", declines_statistics<ops::BatchNormStatisticsArgs>, statistics});
  kernels.apply.add({"cpu_nhwc", declines_apply, apply});
  kernels.backward.add({"cpu_nhwc", declines_backward, backward});
}

}  // namespace graft::cpu
