// Grouped convolution's loops: narrow groups side by side in a register's lanes. Input channel j of
// every lane's group is the input's register with its lanes exchanged, or one element for all where
// a group fills the register. Included by the instruction sets' units only; everything has internal
// linkage.
#pragma once
#include <type_traits>

#include "graft/kernels/cpu/isa/lanes.h"

namespace graft::cpu {
namespace {

constexpr int grouped_pixels = 8;  // most of a block: their sums stay in registers

template <class P>
struct LanePositions;
template <>
struct LanePositions<float> {
  using type = IntVector;
};
template <>
struct LanePositions<double> {
  using type = LongVector;
};

// The lanes of a register that hold channel j of each lane's group.
template <class P>
class GroupLanes {
 public:
  using Positions = typename LanePositions<P>::type;
  using Element = std::conditional_t<sizeof(P) == 4, int32_t, int64_t>;
  explicit GroupLanes(int64_t group) {  // a power of two
    Positions lane{};
    repeat<Vector<P>::lanes>([&](auto l)
                                 __attribute__((always_inline)) { lane[l.value] = l.value; });
    first_ = lane & static_cast<Element>(-group);
  }
  Positions of(int64_t j) const { return first_ + static_cast<Element>(j); }

 private:
  Positions first_{};
};

template <class P, bool Fills>
inline __attribute__((always_inline)) typename Vector<P>::Register group_channel(
    const P* x, int64_t j, typename LanePositions<P>::type lanes) {
  if constexpr (Fills)
    return Vector<P>::broadcast(x[j]);
  else
    return __builtin_shuffle(Vector<P>::load(x), lanes);
}

template <class T>
inline typename Vector<T>::Register load_lanes(const T* from, int64_t count) {
  if (count >= Vector<T>::lanes) return Vector<T>::load(from);
  T part[Vector<T>::lanes] = {};
  for (int64_t i = 0; i < count; ++i) part[i] = from[i];
  return Vector<T>::load(part);
}
template <class T>
inline void store_lanes(T* to, typename Vector<T>::Register v, int64_t count) {
  if (count >= Vector<T>::lanes) return Vector<T>::store(to, v);
  T part[Vector<T>::lanes];
  Vector<T>::store(part, v);
  for (int64_t i = 0; i < count; ++i) to[i] = part[i];
}

// A block of pixels from p on, of the register of channels from c on.
template <int Pixels, bool Fills, class T>
void grouped_block(const GroupedArgs<T>& args, int64_t p, int64_t c) {
  using P = Parameter<T>;
  using V = Vector<P>;
  using R = typename V::Register;
  const GroupLanes<P> lanes(args.group);
  const int64_t group = args.group, step = args.step, taps = args.filter_columns;
  R sums[Pixels];
  repeat<Pixels>([&](auto i) __attribute__((always_inline)) { sums[i.value] = R{}; });
  const P* w = args.weight + c * args.filter_rows * taps * group;
  // Three taps side by side, a pixel apart: a register of input serves three pixels.
  const bool shares = taps == 3 && args.tap_step == step;
  for (int64_t r = 0; r < args.filter_rows; ++r, w += taps * group * V::lanes) {
    const P* row = args.rows[r] + p * step + c;
    if (shares) {
      for (int64_t j = 0; j < group; ++j) {
        const auto positions = lanes.of(j);
        const R w0 = V::load(w + j * V::lanes), w1 = V::load(w + (group + j) * V::lanes),
                w2 = V::load(w + (2 * group + j) * V::lanes);
        repeat<Pixels + 2>([&](auto i) __attribute__((always_inline)) {
          constexpr int at = i.value;
          const R x = group_channel<P, Fills>(row + at * step, j, positions);
          if constexpr (at < Pixels) sums[at] = V::multiply_add(x, w0, sums[at]);
          if constexpr (at >= 1 && at <= Pixels)
            sums[at - 1] = V::multiply_add(x, w1, sums[at - 1]);
          if constexpr (at >= 2) sums[at - 2] = V::multiply_add(x, w2, sums[at - 2]);
        });
      }
      continue;
    }
    for (int64_t s = 0; s < taps; ++s)
      for (int64_t j = 0; j < group; ++j) {
        const auto positions = lanes.of(j);
        const R weight = V::load(w + (s * group + j) * V::lanes);
        const P* x = row + s * args.tap_step;
        repeat<Pixels>([&](auto i) __attribute__((always_inline)) {
          sums[i.value] = V::multiply_add(group_channel<P, Fills>(x + i.value * step, j, positions),
                                          weight, sums[i.value]);
        });
      }
  }
  const int64_t left = args.channels - c;
  const R bias = args.bias ? load_lanes<P>(args.bias + c, left) : R{};
  repeat<Pixels>([&](auto i) __attribute__((always_inline)) {
    const int64_t at = (p + i.value) * args.out_step + c;
    R sum = sums[i.value] + bias;
    if (args.residual) sum += load_lanes<T>(args.residual + at, left);
    store_lanes<T>(args.out + at, activated_lanes(sum, args.activation, P(0)), left);
  });
}

template <int Pixels, bool Fills, class T>
inline void grouped_some(const GroupedArgs<T>& args, int64_t pixels, int64_t p, int64_t c) {
  if constexpr (Pixels > 0) {
    if (pixels == Pixels) return grouped_block<Pixels, Fills, T>(args, p, c);
    grouped_some<Pixels - 1, Fills, T>(args, pixels, p, c);
  }
}

// Blocks as equal as may be: one of a single pixel would wait for its own sums.
template <class T, bool Fills>
void grouped_row(const GroupedArgs<T>& args) {
  const int64_t blocks = (args.pixels + grouped_pixels - 1) / grouped_pixels;
  for (int64_t c = 0; c < args.channels; c += Vector<T>::lanes)
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t begin = b * args.pixels / blocks, end = (b + 1) * args.pixels / blocks;
      grouped_some<grouped_pixels, Fills, T>(args, end - begin, begin, c);
    }
}
template <class T>
void grouped(const GroupedArgs<T>& args) {
  if (args.group == Vector<T>::lanes)
    grouped_row<T, true>(args);
  else
    grouped_row<T, false>(args);
}

// Sums of a row of three taps, `Channels` of the group's input channels from j on. The gradients of
// three pixels stay while the input goes by: each register of it meets all three.
template <int Channels, bool Fills, bool Whole, class T>
void grouped_gradient_row(const GroupedGradientArgs<T>& args, int64_t r, int64_t j, int64_t c) {
  using P = Parameter<T>;
  using V = Vector<P>;
  using R = typename V::Register;
  const GroupLanes<P> lanes(args.group);
  const int64_t left = args.channels - c, step = args.step, pixels = args.pixels;
  P* to = args.sums + (c * args.filter_rows * 3 + r * 3 * V::lanes) * args.group + j * V::lanes;
  const int64_t tap = args.group * V::lanes;
  R sums[3][Channels];
  repeat<3 * Channels>([&](auto i) __attribute__((always_inline)) {
    constexpr int s = i.value / Channels, k = i.value % Channels;
    sums[s][k] = V::load(to + s * tap + k * V::lanes);
  });
  const auto gradient = [&](const T* dy) __attribute__((always_inline)) {
    return Whole ? Vector<T>::load(dy) : load_lanes<T>(dy, left);
  };
  for (int64_t run = 0; run < args.count; ++run) {
    const P* x = args.runs[run].rows[r] + c;
    const T* dy = args.runs[run].dy + c;
    R now{}, before{}, first{};
    for (int64_t i = 0; i < pixels + 2; ++i, x += step) {
      first = before, before = now;
      now = i < pixels ? gradient(dy + i * args.dy_step) : R{};
      repeat<Channels>([&](auto k) __attribute__((always_inline)) {
        const R in = group_channel<P, Fills>(x, j + k.value, lanes.of(j + k.value));
        sums[0][k.value] = V::multiply_add(in, now, sums[0][k.value]);
        sums[1][k.value] = V::multiply_add(in, before, sums[1][k.value]);
        sums[2][k.value] = V::multiply_add(in, first, sums[2][k.value]);
      });
    }
  }
  repeat<3 * Channels>([&](auto i) __attribute__((always_inline)) {
    constexpr int s = i.value / Channels, k = i.value % Channels;
    V::store(to + s * tap + k * V::lanes, sums[s][k]);
  });
}

// Sums of one tap.
template <int Channels, bool Fills, bool Whole, class T>
void grouped_gradient_tap(const GroupedGradientArgs<T>& args, int64_t r, int64_t s, int64_t j,
                          int64_t c) {
  using P = Parameter<T>;
  using V = Vector<P>;
  using R = typename V::Register;
  const GroupLanes<P> lanes(args.group);
  const int64_t left = args.channels - c;
  P* to = args.sums + c * args.filter_rows * args.filter_columns * args.group +
          ((r * args.filter_columns + s) * args.group + j) * V::lanes;
  R sums[Channels];
  repeat<Channels>([&](auto i) __attribute__((always_inline)) {
    sums[i.value] = V::load(to + i.value * V::lanes);
  });
  for (int64_t run = 0; run < args.count; ++run) {
    const P* x = args.runs[run].rows[r] + s * args.tap_step + c;
    const T* dy = args.runs[run].dy + c;
    for (int64_t p = 0; p < args.pixels; ++p, x += args.step, dy += args.dy_step) {
      const R gradient = Whole ? Vector<T>::load(dy) : load_lanes<T>(dy, left);
      repeat<Channels>([&](auto k) __attribute__((always_inline)) {
        sums[k.value] =
            V::multiply_add(group_channel<P, Fills>(x, j + k.value, lanes.of(j + k.value)),
                            gradient, sums[k.value]);
      });
    }
  }
  repeat<Channels>([&](auto i) __attribute__((always_inline)) {
    V::store(to + i.value * V::lanes, sums[i.value]);
  });
}

template <int Channels, bool Fills, bool Whole, class T>
void grouped_gradient_channels(const GroupedGradientArgs<T>& args, int64_t c) {
  for (int64_t r = 0; r < args.filter_rows; ++r)
    for (int64_t j = 0; j < args.group; j += Channels) {
      if (args.filter_columns == 3 && args.tap_step == args.step) {
        grouped_gradient_row<Channels, Fills, Whole, T>(args, r, j, c);
        continue;
      }
      for (int64_t s = 0; s < args.filter_columns; ++s)
        grouped_gradient_tap<Channels, Fills, Whole, T>(args, r, s, j, c);
    }
}
template <bool Fills, bool Whole, class T>
void grouped_gradient_lanes(const GroupedGradientArgs<T>& args, int64_t c) {
  constexpr int most = vector_bytes == 64 ? 4 : 2;  // as many sums as there are registers
  if (args.group % most == 0)
    grouped_gradient_channels<most, Fills, Whole, T>(args, c);
  else
    grouped_gradient_channels<2, Fills, Whole, T>(args, c);
}
template <class T>
void grouped_gradient(const GroupedGradientArgs<T>& args) {
  constexpr int lanes = Vector<T>::lanes;
  for (int64_t c = 0; c < args.channels; c += lanes) {
    const bool fills = args.group == lanes;
    if (c + lanes > args.channels)
      grouped_gradient_lanes<false, false, T>(args, c);
    else if (fills)
      grouped_gradient_lanes<true, true, T>(args, c);
    else
      grouped_gradient_lanes<false, true, T>(args, c);
  }
}

template <class T>
void widen_pixels(const T* in, int64_t in_step, int64_t pixels, int64_t channels, Parameter<T>* out,
                  int64_t out_step) {
  constexpr int lanes = Vector<T>::lanes;
  for (int64_t p = 0; p < pixels; ++p, in += in_step, out += out_step) {
    for (int64_t c = 0; c < channels; c += lanes)
      Vector<Parameter<T>>::store(out + c, load_lanes<T>(in + c, channels - c));
  }
}

template <class T>
constexpr GroupedKernels<T> grouped_kernels() {
  return {Vector<T>::lanes, grouped<T>, grouped_gradient<T>, widen_pixels<T>};
}

}  // namespace
}  // namespace graft::cpu
