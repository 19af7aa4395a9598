// Batch norm over the channels of images in channels_last (or of rows): statistics, apply with
// residual and ReLU, backward.
#include <limits>

#include "graft/kernels/cuda/custom/arguments.h"
#include "graft/kernels/cuda/custom/column_sums.h"
#include "graft/kernels/cuda/device/map.h"
#include "graft/kernels/cuda/register.h"

namespace graft::cuda {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Sums of x - s and its square, where s is the chunk's first row: a mean far from zero then costs
// no digits.
template <class T>
struct ShiftedSums {
  static constexpr const char* name = "batch_norm statistics";
  static constexpr int values = 2;
  Span<const T> x;
  int64_t channels;
  template <int N>
  struct State {
    float shift[N];
  };
  template <int N>
  GRAFT_HD State<N> prepare(int64_t begin, int64_t channel) const {
    State<N> s;
    to_floats(x.template load_group<N>(begin * channels + channel), s.shift);
    return s;
  }
  template <int N>
  GRAFT_HD void add(const State<N>& s, int64_t row, int64_t channel, float (&sums)[2][N]) const {
    float v[N];
    to_floats(x.template load_group<N>(row * channels + channel), v);
    for (int j = 0; j < N; ++j) {
      const float d = v[j] - s.shift[j];
      sums[0][j] += d;
      sums[1][j] += d * d;
    }
  }
};

// Count, mean and squares of parts joined: Chan, Golub and LeVeque 1983, eq. 2.1.
template <class T>
struct JoinStatistics {
  static constexpr const char* name = "batch_norm statistics, join";
  static constexpr int values = 3;
  Span<const T> x;
  Span<const float> partial;
  Span<float> mean, variance;
  int64_t rows, channels, chunk;
  GRAFT_HD void part(int64_t i, int64_t channel, float* sum) const {
    const int64_t begin = i * chunk, at = 2 * i * channels + channel;
    const float n = static_cast<float>(begin + chunk < rows ? chunk : rows - begin),
                first = partial.load(at), second = partial.load(at + channels);
    sum[0] = n;
    sum[1] = to_float(x.load(begin * channels + channel)) + first / n;
    sum[2] = fmaxf(second - first * first / n, 0.f);
  }
  GRAFT_HD void join(float* sum, const float* other) const {
    const float count = sum[0], n = other[0], delta = other[1] - sum[1];
    if (n == 0) return;
    sum[0] = count + n;
    sum[1] += delta * (n / (count + n));
    sum[2] += other[2] + delta * delta * (count * n / (count + n));
  }
  GRAFT_HD void finish(int64_t channel, const float* sum) const {
    mean.store(channel, sum[1]);
    variance.store(channel, sum[2] / sum[0]);
  }
};

// Both running statistics in one launch; each may be absent.
struct MoveRunning {
  static constexpr const char* name = "batch_norm running statistics";
  static constexpr int group = 1;
  Span<const float> mean, variance;
  Span<float> running_mean, running_variance;
  float kept, mean_share, variance_share;
  template <int M>
  GRAFT_HD void at(int64_t c) const {
    if (running_mean)
      running_mean.store(c, kept * running_mean.load(c) + mean_share * mean.load(c));
    if (running_variance)
      running_variance.store(c,
                             kept * running_variance.load(c) + variance_share * variance.load(c));
  }
};

// What all elements of a channel share. weight and bias may be empty: 1 and 0.
struct NormParameters {
  Span<const float> mean, variance, weight, bias;
  float eps;
  template <int N>
  struct State {
    float mean[N], slope[N], bias[N];
    GRAFT_HD float value(int j, float x) const { return (x - mean[j]) * slope[j] + bias[j]; }
  };
  GRAFT_HD float inverse(int64_t c) const { return inverse_root(variance.load(c) + eps); }
  template <int N>
  GRAFT_HD State<N> prepare(int64_t channel) const {
    State<N> s;
    float spread[N];
    load_channels<N>(mean, channel, 0.f, s.mean);
    load_channels<N>(variance, channel, 0.f, spread);
    load_channels<N>(weight, channel, 1.f, s.slope);
    load_channels<N>(bias, channel, 0.f, s.bias);
    for (int j = 0; j < N; ++j) s.slope[j] *= inverse_root(spread[j] + eps);
    return s;
  }
};

// Bit j: whether element j is above 0.
template <class T, int N>
GRAFT_HD uint32_t positive_bits(const Group<T, N>& v) {
  uint32_t bits = 0;
  for (int j = 0; j < N; ++j) bits |= to_float(v.v[j]) > 0 ? 1u << j : 0u;
  return bits;
}

template <class T>
struct NormApply {
  static constexpr const char* name = "batch_norm apply";
  static constexpr int ahead = 2;
  Span<const T> x, residual;
  NormParameters parameters;
  Span<T> y;
  Span<uint8_t> positive;  // or empty; groups of eight then
  float least;             // 0 with a ReLU
  template <int N>
  using State = NormParameters::State<N>;
  template <int N>
  struct Elements {
    Group<T, N> x, residual;
  };
  template <int N>
  GRAFT_HD State<N> prepare(int64_t channel) const {
    return parameters.prepare<N>(channel);
  }
  template <int N>
  GRAFT_HD Elements<N> load(const State<N>&, int64_t, int64_t i) const {
    return {x.template load_group<N>(i),
            residual ? residual.template load_group<N>(i) : Group<T, N>{}};
  }
  template <int N>
  GRAFT_HD void store(const State<N>& s, int64_t i, const Elements<N>& e) const {
    float values[N], added[N];
    to_floats(e.x, values);
    to_floats(e.residual, added);  // zeros without one
    Group<T, N> v;
    for (int j = 0; j < N; ++j)
      v.v[j] = from_float<T>(clamped(s.value(j, values[j]) + added[j], least, kInfinity));
    y.template store_group<N>(i, v);
    if constexpr (N == 8)
      if (positive) positive.store(i / 8, static_cast<uint8_t>(positive_bits(v)));
  }
};

// The gradient behind the ReLU: dy where the result was positive, which bits say, or y, or x where
// no residual was added.
enum class Mask : unsigned char { none, from_bits, from_y, from_x };
template <class T>
struct MaskedGradient {
  Span<const T> x, y, dy;
  Span<const uint8_t> positive;
  NormParameters parameters;
  Mask mask;
  template <int N>
  struct Elements {
    Group<T, N> x, dy;
    uint32_t positive;
    // The gradient behind the ReLU, and x.
    GRAFT_HD void gradients(Mask mask, const NormParameters::State<N>& s, float* g,
                            float* values) const {
      to_floats(dy, g);
      to_floats(x, values);
      for (int j = 0; j < N; ++j)
        if (mask == Mask::from_x ? !(s.value(j, values[j]) > 0) : (positive >> j & 1) == 0)
          g[j] = 0;
    }
  };
  template <int N>
  GRAFT_HD Elements<N> load(int64_t i) const {
    Elements<N> e{x.template load_group<N>(i), dy.template load_group<N>(i), ~0u};
    if (mask == Mask::from_bits)
      e.positive = static_cast<uint32_t>(positive.load(i / 8)) >> i % 8;
    else if (mask == Mask::from_y)
      e.positive = positive_bits(y.template load_group<N>(i));
    return e;
  }
};

// Sums of the gradient and of the gradient times x - mean.
template <class T>
struct GradientSums {
  static constexpr const char* name = "batch_norm backward, sums";
  static constexpr int values = 2;
  MaskedGradient<T> gradient;
  int64_t channels;
  template <int N>
  GRAFT_HD NormParameters::State<N> prepare(int64_t, int64_t channel) const {
    return gradient.parameters.template prepare<N>(channel);
  }
  template <int N>
  GRAFT_HD void add(const NormParameters::State<N>& s, int64_t row, int64_t channel,
                    float (&sums)[2][N]) const {
    float g[N], x[N];
    gradient.template load<N>(row * channels + channel).gradients(gradient.mask, s, g, x);
    for (int j = 0; j < N; ++j) {
      sums[0][j] += g[j];
      sums[1][j] += g[j] * (x[j] - s.mean[j]);
    }
  }
};

// sum_normalised: of the gradient times the normalised x, which is the weight's gradient.
struct JoinGradients {
  static constexpr const char* name = "batch_norm backward, join";
  static constexpr int values = 2;
  Span<const float> partial;
  NormParameters parameters;
  Span<float> sum, sum_normalised, dweight, dbias;
  int64_t channels;
  GRAFT_HD void part(int64_t chunk, int64_t channel, float* sums) const {
    for (int v = 0; v < 2; ++v) sums[v] = partial.load((2 * chunk + v) * channels + channel);
  }
  GRAFT_HD void join(float* sums, const float* other) const {
    for (int v = 0; v < 2; ++v) sums[v] += other[v];
  }
  GRAFT_HD void finish(int64_t c, const float* sums) const {
    const float normalised = sums[1] * parameters.inverse(c);
    sum.store(c, sums[0]);
    sum_normalised.store(c, normalised);
    if (dweight) dweight.store(c, normalised);
    if (dbias) dbias.store(c, sums[0]);
  }
};

// dx = slope * (g - (sum + normalised x * sum_normalised) / count), as g * slope - constant - (x -
// mean) * factor.
template <class T>
struct GradientApply {
  static constexpr const char* name = "batch_norm backward, apply";
  static constexpr int ahead = 2;
  MaskedGradient<T> gradient;
  Span<const float> sum, sum_normalised;  // empty: the statistics were given
  Span<T> dx, dresidual;
  float share;  // 1 / count
  template <int N>
  struct State {
    NormParameters::State<N> norm;
    float constant[N], factor[N];
  };
  template <int N>
  using Elements = typename MaskedGradient<T>::template Elements<N>;
  template <int N>
  GRAFT_HD State<N> prepare(int64_t channel) const {
    State<N> s;
    s.norm = gradient.parameters.template prepare<N>(channel);
    load_channels<N>(sum, channel, 0.f, s.constant);
    load_channels<N>(sum_normalised, channel, 0.f, s.factor);
    float spread[N];
    load_channels<N>(gradient.parameters.variance, channel, 0.f, spread);
    for (int j = 0; j < N; ++j) {
      s.constant[j] *= s.norm.slope[j] * share;
      s.factor[j] *= s.norm.slope[j] * share * inverse_root(spread[j] + gradient.parameters.eps);
    }
    return s;
  }
  template <int N>
  GRAFT_HD Elements<N> load(const State<N>&, int64_t, int64_t i) const {
    return gradient.template load<N>(i);
  }
  template <int N>
  GRAFT_HD void store(const State<N>& s, int64_t i, const Elements<N>& e) const {
    float g[N], x[N];
    e.gradients(gradient.mask, s.norm, g, x);
    Group<T, N> d, r;
    for (int j = 0; j < N; ++j) {
      float result = g[j] * s.norm.slope[j];
      if (sum) result -= s.constant[j] + (x[j] - s.norm.mean[j]) * s.factor[j];
      d.v[j] = from_float<T>(result);
      r.v[j] = from_float<T>(g[j]);
    }
    if (dx) dx.template store_group<N>(i, d);
    if (dresidual) dresidual.template store_group<N>(i, r);
  }
};

// x as a matrix [rows, channels].
int64_t channels_of(const Tensor& x) { return x.size(1); }
template <class T>
bool in_groups(const Tensor& x) {
  return channels_of(x) % kGroup<T> == 0;
}

// A byte of the mask is one thread's, a group of eight 16-bit elements.
bool keeps_mask(const Tensor& x) {
  return x.rank() == 4 && size_of(x.dtype()) == 2 && x.size(1) % 8 == 0 && is_aligned(x);
}

const char* declines_norm(const Tensor& x) {
  if (x.numel() == 0) return "no elements";
  return x.rank() == 2 ? declines_dtype(x) : declines_image(x);
}

// Two sums of every channel, chunk by chunk.
struct Partials {
  ColumnTiles tiles;
  Tensor sums;  // [chunks, 2, channels]
};
template <class T, class F>
Partials column_sums(const Tensor& x, const F& f, bool aligned) {
  const int64_t channels = channels_of(x), rows = x.numel() / channels;
  Partials result;
  visit_group<T>(aligned && in_groups<T>(x), [&](auto n) {
    using Body = ColumnSums<F, n()>;
    result.tiles = column_tiles(rows, channels, n());
    result.sums = Tensor::empty({result.tiles.chunks(), 2, channels}, {.device = x.device()});
    launch<Body>(device_of(x), result.tiles.chunks() * result.tiles.across(), kThreads,
                 {f, result.tiles, static_cast<uint32_t>(result.tiles.across()),
                  mutable_span<float>(result.sums)},
                 Body::shared_bytes);
  });
  return result;
}

const char* declines_statistics(const ExecContext&, const ops::BatchNormStatisticsArgs& args) {
  return declines_norm(args.x);
}

void statistics(ExecContext&, ops::BatchNormStatisticsArgs& args) {
  const gpu::OperationName name("batch_norm statistics");
  const int64_t channels = channels_of(args.x), rows = args.x.numel() / channels;
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Partials parts =
        column_sums<T>(args.x, ShiftedSums<T>{span<T>(args.x), channels}, is_aligned(args.x));
    launch_join(
        device_of(args.x), parts.tiles.chunks(), channels,
        JoinStatistics<T>{span<T>(args.x), span<float>(parts.sums), mutable_span<float>(args.mean),
                          mutable_span<float>(args.variance), rows, channels, parts.tiles.chunk});
  });
}

template <class Args>
NormParameters parameters_of(const Args& args) {
  return {span<float>(args.mean), span<float>(args.variance), span<float>(args.weight),
          span<float>(args.bias), static_cast<float>(args.attributes.eps)};
}

template <class Args>
bool parameters_aligned(const Args& args) {
  return is_aligned(args.mean) && is_aligned(args.variance) && is_aligned(args.weight) &&
         is_aligned(args.bias);
}

const char* declines_running(const ExecContext&, const ops::BatchNormRunningArgs& args) {
  for (const Tensor* t : {&args.mean, &args.variance, static_cast<const Tensor*>(args.running_mean),
                          static_cast<const Tensor*>(args.running_variance)})
    if (const char* reason = declines_parameter(t)) return reason;
  return nullptr;
}

void running(ExecContext&, ops::BatchNormRunningArgs& args) {
  const double n = static_cast<double>(args.count), share = args.momentum;
  launch_map(device_of(args.mean), args.mean.numel(),
             MoveRunning{span<float>(args.mean), span<float>(args.variance),
                         mutable_span<float>(args.running_mean),
                         mutable_span<float>(args.running_variance), static_cast<float>(1 - share),
                         static_cast<float>(share), static_cast<float>(share * n / (n - 1))});
}

const char* declines_apply(const ExecContext&, const ops::BatchNormApplyArgs& args) {
  for (const Tensor* parameter : {&args.mean, &args.variance, args.weight, args.bias})
    if (const char* reason = declines_parameter(parameter)) return reason;
  if (args.positive && !(keeps_mask(args.x) && is_aligned(args.x) && is_aligned(args.residual) &&
                         is_aligned(args.y) && parameters_aligned(args)))
    return "a mask in bits is written in groups of eight";
  return declines_norm(args.x);
}

void apply(ExecContext&, ops::BatchNormApplyArgs& args) {
  const bool aligned = is_aligned(args.x) && is_aligned(args.residual) && is_aligned(args.y) &&
                       parameters_aligned(args);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    visit_group<T>(aligned && in_groups<T>(args.x), [&](auto n) {
      launch_channel_rows<n()>(
          device_of(args.x), args.x.numel() / channels_of(args.x), channels_of(args.x),
          NormApply<T>{span<T>(args.x), span<T>(args.residual), parameters_of(args),
                       mutable_span<T>(args.y), mutable_span<uint8_t>(args.positive),
                       args.attributes.relu ? 0.f : -kInfinity});
    });
  });
}

const char* declines_backward(const ExecContext&, const ops::BatchNormBackwardArgs& args) {
  for (const Tensor* parameter :
       {&args.mean, &args.variance, args.weight, args.bias,
        static_cast<const Tensor*>(args.dweight), static_cast<const Tensor*>(args.dbias)})
    if (const char* reason = declines_parameter(parameter)) return reason;
  if (args.dy.format() != args.x.format()) return "memory order of dy is another";
  if (args.attributes.relu && args.residual && !args.y && !args.positive)
    return "the mask of a residual's ReLU needs the result";
  return declines_norm(args.x);
}

void backward(ExecContext&, ops::BatchNormBackwardArgs& args) {
  const gpu::OperationName name("batch_norm backward");
  const int64_t channels = channels_of(args.x), rows = args.x.numel() / channels;
  const bool aligned = is_aligned(args.x) && is_aligned(args.dy) && is_aligned(args.y) &&
                       is_aligned(args.dx) && is_aligned(args.dresidual) &&
                       parameters_aligned(args);
  visit_kernel_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Mask mask = !args.attributes.relu ? Mask::none
                      : args.positive       ? Mask::from_bits
                      : args.y              ? Mask::from_y
                                            : Mask::from_x;
    const MaskedGradient<T> gradient{span<T>(args.x),     span<T>(args.y),
                                     span<T>(args.dy),    span<uint8_t>(args.positive),
                                     parameters_of(args), mask};
    Tensor sums[2];
    if (args.dweight || args.dbias || args.attributes.training) {
      const Partials parts = column_sums<T>(args.x, GradientSums<T>{gradient, channels}, aligned);
      for (Tensor& sum : sums) sum = Tensor::empty({channels}, {.device = args.x.device()});
      launch_join(
          device_of(args.x), parts.tiles.chunks(), channels,
          JoinGradients{span<float>(parts.sums), parameters_of(args), mutable_span<float>(sums[0]),
                        mutable_span<float>(sums[1]), mutable_span<float>(args.dweight),
                        mutable_span<float>(args.dbias), channels});
    }
    if (!args.dx && !args.dresidual) return;
    const bool depends = args.attributes.training;  // the statistics on x
    visit_group<T>(aligned && in_groups<T>(args.x), [&](auto n) {
      launch_channel_rows<n()>(
          device_of(args.x), rows, channels,
          GradientApply<T>{gradient, span<float>(depends ? &sums[0] : nullptr),
                           span<float>(depends ? &sums[1] : nullptr), mutable_span<T>(args.dx),
                           mutable_span<T>(args.dresidual), 1.f / static_cast<float>(rows)});
    });
  });
}

}  // namespace

void register_batch_norm(KernelSet& set) {
  set.batch_norm.statistics.add({"cuda", declines_statistics, statistics});
  set.batch_norm.running.add({"cuda", declines_running, running});
  set.batch_norm.apply.add({"cuda", declines_apply, apply});
  set.batch_norm.backward.add({"cuda", declines_backward, backward});
  set.batch_norm.keeps_mask = keeps_mask;
}

}  // namespace graft::cuda
