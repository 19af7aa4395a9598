// Batch norm over the channels of images in channels_last (or of rows): statistics, apply with residual and ReLU, backward.
#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/column_sums.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

// Sums of x - s and its square, where s is the chunk's first row: a mean far from zero then costs no digits.
template <class T>
struct ShiftedSums {
  static constexpr const char* name = "batch_norm statistics";
  Span<const T> x;
  int64_t channels;
  template <int N>
  GRAFT_HD void add(int64_t begin, int64_t row, int64_t channel, float* first, float* second) const {
    const Group<T, N> v = x.template load_group<N>(row * channels + channel), s = x.template load_group<N>(begin * channels + channel);
    for (int j = 0; j < N; ++j) {
      const float d = to_float(v.v[j]) - to_float(s.v[j]);
      first[j] += d;
      second[j] += d * d;
    }
  }
};

// Chunks joined in order: Chan, Golub and LeVeque 1983, eq. 2.1.
template <class T>
struct JoinStatistics {
  static constexpr const char* name = "batch_norm statistics, join";
  static constexpr int group = 1;
  Span<const T> x;
  Span<const float> first, second;
  Span<float> mean, variance;
  int64_t rows, channels, chunk;
  template <int M>
  GRAFT_HD void at(int64_t c) const {
    float count = 0, average = 0, squares = 0;
    for (int64_t begin = 0, i = c; begin < rows; begin += chunk, i += channels) {
      const float n = static_cast<float>(begin + chunk < rows ? chunk : rows - begin);
      const float part = to_float(x.load(begin * channels + c)) + first.load(i) / n, delta = part - average;
      squares += fmaxf(second.load(i) - first.load(i) * first.load(i) / n, 0.f) + delta * delta * (count * n / (count + n));
      count += n;
      average += delta * (n / count);
    }
    mean.store(c, average);
    variance.store(c, squares / count);
  }
};

// What all elements of a channel share. weight and bias may be empty: 1 and 0.
struct NormParameters {
  Span<const float> mean, variance, weight, bias;
  float eps;
  GRAFT_HD float inverse(int64_t c) const { return 1.f / sqrtf(variance.load(c) + eps); }
  GRAFT_HD float slope(int64_t c) const { return (weight ? weight.load(c) : 1.f) * inverse(c); }
  GRAFT_HD float value(int64_t c, float x) const { return (x - mean.load(c)) * slope(c) + (bias ? bias.load(c) : 0.f); }
};

template <class T, int N>
struct NormApply {
  static constexpr const char* name = "batch_norm apply";
  static constexpr int group = N;
  Span<const T> x, residual;
  NormParameters parameters;
  Span<T> y;
  int64_t channels;
  bool relu;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    Group<T, M> v = x.template load_group<M>(i), r{};
    if (residual) r = residual.template load_group<M>(i);
    const int64_t c = i % channels;
    for (int j = 0; j < M; ++j) {
      float value = parameters.value(c + j, to_float(v.v[j]));
      if (residual) value += to_float(r.v[j]);
      if (relu && !(value > 0) && value == value) value = 0;
      v.v[j] = from_float<T>(value);
    }
    y.template store_group<M>(i, v);
  }
};

// The gradient behind the ReLU: dy where the result was positive, which y says, or x where no residual was added.
enum class Mask : unsigned char { none, from_y, from_x };
template <class T>
struct MaskedGradient {
  Span<const T> x, y, dy;
  NormParameters parameters;
  Mask mask;
  template <int N>
  GRAFT_HD void load(int64_t i, int64_t c, float* g) const {
    const Group<T, N> d = dy.template load_group<N>(i);
    for (int j = 0; j < N; ++j) g[j] = to_float(d.v[j]);
    if (mask == Mask::none) return;
    const Group<T, N> r = mask == Mask::from_y ? y.template load_group<N>(i) : x.template load_group<N>(i);
    for (int j = 0; j < N; ++j) {
      const float result = mask == Mask::from_y ? to_float(r.v[j]) : parameters.value(c + j, to_float(r.v[j]));
      if (!(result > 0)) g[j] = 0;
    }
  }
};

template <class T>
struct GradientSums {
  static constexpr const char* name = "batch_norm backward, sums";
  MaskedGradient<T> gradient;
  int64_t channels;
  template <int N>
  GRAFT_HD void add(int64_t, int64_t row, int64_t channel, float* first, float* second) const {
    const int64_t i = row * channels + channel;
    const NormParameters& p = gradient.parameters;
    const Group<T, N> v = gradient.x.template load_group<N>(i);
    float g[N];
    gradient.template load<N>(i, channel, g);
    for (int j = 0; j < N; ++j) {
      first[j] += g[j];
      second[j] += g[j] * (to_float(v.v[j]) - p.mean.load(channel + j)) * p.inverse(channel + j);
    }
  }
};

struct JoinGradients {
  static constexpr const char* name = "batch_norm backward, join";
  static constexpr int group = 1;
  Span<const float> first, second;
  Span<float> sum, sum_normalised, dweight, dbias;
  int64_t chunks, channels;
  template <int M>
  GRAFT_HD void at(int64_t c) const {
    float plain = 0, normalised = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      plain += first.load(chunk * channels + c);
      normalised += second.load(chunk * channels + c);
    }
    sum.store(c, plain);
    sum_normalised.store(c, normalised);
    if (dweight) dweight.store(c, normalised);
    if (dbias) dbias.store(c, plain);
  }
};

template <class T, int N>
struct GradientApply {
  static constexpr const char* name = "batch_norm backward, apply";
  static constexpr int group = N;
  MaskedGradient<T> gradient;
  Span<const float> sum, sum_normalised;  // empty: the statistics were given
  Span<T> dx, dresidual;
  int64_t channels;
  float count;
  template <int M>
  GRAFT_HD void at(int64_t i) const {
    const int64_t c = i % channels;
    const NormParameters& p = gradient.parameters;
    float g[M];
    gradient.template load<M>(i, c, g);
    Group<T, M> v = gradient.x.template load_group<M>(i), r;
    for (int j = 0; j < M; ++j) {
      float centred = g[j];
      if (sum) centred -= (sum.load(c + j) + (to_float(v.v[j]) - p.mean.load(c + j)) * p.inverse(c + j) * sum_normalised.load(c + j)) / count;
      v.v[j] = from_float<T>(centred * p.slope(c + j));
      r.v[j] = from_float<T>(g[j]);
    }
    if (dx) dx.template store_group<M>(i, v);
    if (dresidual) dresidual.template store_group<M>(i, r);
  }
};

// x as a matrix [rows, channels].
int64_t channels_of(const Tensor& x) { return x.size(1); }
template <class T>
bool in_groups(const Tensor& x) { return channels_of(x) % kGroup<T> == 0; }

const char* declines_norm(const Tensor& x) {
  if (x.numel() == 0) return "no elements";
  return x.rank() == 2 ? declines_dtype(x) : declines_image(x);
}

// Both sums of every channel, chunk by chunk.
struct Partials {
  ColumnTiles tiles;
  Tensor first, second;  // [chunks, channels]
};
template <class T, class F>
Partials column_sums(const Tensor& x, const F& f, bool aligned) {
  const int64_t channels = channels_of(x), rows = x.numel() / channels;
  Partials result;
  visit_group<T>(aligned && in_groups<T>(x), [&](auto n) {
    constexpr int N = n();
    result.tiles = ColumnTiles::of(rows, channels, N);
    result.first = Tensor::empty({result.tiles.chunks(), channels}, {.device = x.device()});
    result.second = Tensor::empty_like(result.first);
    using Body = ColumnSums<F, N>;
    launch<Body>(device_of(x), result.tiles.chunks() * result.tiles.across(), kThreads,
                 {f, result.tiles, result.tiles.across(), mutable_span<float>(result.first), mutable_span<float>(result.second)}, Body::shared_bytes);
  });
  return result;
}

const char* declines_statistics(const ExecContext&, const ops::BatchNormStatisticsArgs& args) { return declines_norm(args.x); }

void statistics(ExecContext&, ops::BatchNormStatisticsArgs& args) {
  const gpu::OperationName name("batch_norm statistics");
  const int64_t channels = channels_of(args.x), rows = args.x.numel() / channels;
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Partials parts = column_sums<T>(args.x, ShiftedSums<T>{span<T>(args.x), channels}, is_aligned(args.x));
    launch_map(device_of(args.x), channels,
               JoinStatistics<T>{span<T>(args.x), span<float>(parts.first), span<float>(parts.second), mutable_span<float>(args.mean),
                                 mutable_span<float>(args.variance), rows, channels, parts.tiles.chunk});
  });
}

template <class Args>
NormParameters parameters_of(const Args& args) {
  return {span<float>(args.mean), span<float>(args.variance), span<float>(args.weight), span<float>(args.bias), static_cast<float>(args.attributes.eps)};
}

const char* declines_apply(const ExecContext&, const ops::BatchNormApplyArgs& args) {
  for (const Tensor* parameter : {&args.mean, &args.variance, args.weight, args.bias})
    if (const char* reason = declines_parameter(parameter)) return reason;
  return declines_norm(args.x);
}

void apply(ExecContext&, ops::BatchNormApplyArgs& args) {
  const bool aligned = is_aligned(args.x) && is_aligned(args.residual) && is_aligned(args.y);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_group<T>(aligned && in_groups<T>(args.x), [&](auto n) {
      launch_map(device_of(args.x), args.x.numel(),
                 NormApply<T, n()>{span<T>(args.x), span<T>(args.residual), parameters_of(args), mutable_span<T>(args.y), channels_of(args.x),
                                   args.attributes.relu});
    });
  });
}

const char* declines_backward(const ExecContext&, const ops::BatchNormBackwardArgs& args) {
  for (const Tensor* parameter : {&args.mean, &args.variance, args.weight, args.bias, static_cast<const Tensor*>(args.dweight), static_cast<const Tensor*>(args.dbias)})
    if (const char* reason = declines_parameter(parameter)) return reason;
  if (args.dy.format() != args.x.format()) return "memory order of dy is another";
  if (args.attributes.relu && args.residual && !args.y) return "the mask of a residual's ReLU needs the result";
  return declines_norm(args.x);
}

void backward(ExecContext&, ops::BatchNormBackwardArgs& args) {
  const gpu::OperationName name("batch_norm backward");
  const int64_t channels = channels_of(args.x), rows = args.x.numel() / channels;
  const bool aligned = is_aligned(args.x) && is_aligned(args.dy) && is_aligned(args.y) && is_aligned(args.dx) && is_aligned(args.dresidual);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Mask mask = !args.attributes.relu ? Mask::none : args.y ? Mask::from_y : Mask::from_x;
    const MaskedGradient<T> gradient{span<T>(args.x), span<T>(args.y), span<T>(args.dy), parameters_of(args), mask};
    Tensor sums[2];
    if (args.dweight || args.dbias || args.attributes.training) {
      const Partials parts = column_sums<T>(args.x, GradientSums<T>{gradient, channels}, aligned);
      for (Tensor& sum : sums) sum = Tensor::empty({channels}, {.device = args.x.device()});
      launch_map(device_of(args.x), channels,
                 JoinGradients{span<float>(parts.first), span<float>(parts.second), mutable_span<float>(sums[0]), mutable_span<float>(sums[1]),
                               mutable_span<float>(args.dweight), mutable_span<float>(args.dbias), parts.tiles.chunks(), channels});
    }
    if (!args.dx && !args.dresidual) return;
    const bool depends = args.attributes.training;  // the statistics on x
    visit_group<T>(aligned && in_groups<T>(args.x), [&](auto n) {
      launch_map(device_of(args.x), args.x.numel(),
                 GradientApply<T, n()>{gradient, span<float>(depends ? &sums[0] : nullptr), span<float>(depends ? &sums[1] : nullptr),
                                       mutable_span<T>(args.dx), mutable_span<T>(args.dresidual), channels, static_cast<float>(rows)});
    });
  });
}

}  // namespace

void register_batch_norm(KernelSet& set) {
  set.batch_norm.statistics.add({"cuda", declines_statistics, statistics});
  set.batch_norm.apply.add({"cuda", declines_apply, apply});
  set.batch_norm.backward.add({"cuda", declines_backward, backward});
}

}  // namespace graft::cuda
