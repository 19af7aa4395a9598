#include "graft/core/runtime/random.h"

#include <cmath>
#include <numbers>

namespace graft {

std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter,
                                      std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

namespace {

uint64_t mix(uint64_t a,
             uint64_t b) {  // splitmix64 finaliser: folds wide ids into the 96 bits of stream
  uint64_t z = a + 0x9E3779B97F4A7C15u * (b + 1);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

}  // namespace

// The counter's low word counts blocks; the other three words name the stream.
CountedRandom::CountedRandom(uint64_t seed, RandomPurpose purpose, uint64_t epoch, uint64_t sample)
    : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)} {
  const uint64_t id = mix(mix(static_cast<uint64_t>(purpose), epoch), sample);
  stream_ = {static_cast<uint32_t>(id), static_cast<uint32_t>(id >> 32),
             static_cast<uint32_t>(purpose)};
}

uint32_t CountedRandom::next() {
  const uint64_t index = position_ / 4;
  if (index != block_index_) {
    block_ = philox4x32_10({static_cast<uint32_t>(index), stream_[0], stream_[1],
                            stream_[2] ^ (static_cast<uint32_t>(index >> 32) << 8)},
                           key_);
    block_index_ = index;
  }
  return block_[position_++ % 4];
}

double CountedRandom::uniform() {
  const uint64_t high = next(), low = next();
  return static_cast<double>(((high << 32) | low) >> 11) * 0x1p-53;
}

double CountedRandom::uniform(double low, double high) { return low + (high - low) * uniform(); }

double CountedRandom::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

uint64_t CountedRandom::below(uint64_t bound) {
  GRAFT_CHECK(bound > 0, "below(0)");
  const uint64_t limit = ~uint64_t{0} - ~uint64_t{0} % bound;
  for (;;) {
    const uint64_t high = next();
    const uint64_t value = (high << 32) | next();
    if (value < limit) return value % bound;
  }
}

std::vector<int64_t> random_permutation(int64_t count, CountedRandom& random) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) order[static_cast<size_t>(i)] = i;
  for (int64_t i = count - 1; i > 0; --i)
    std::swap(order[static_cast<size_t>(i)], order[random.below(static_cast<uint64_t>(i) + 1)]);
  return order;
}

namespace {

template <class Draw>
void fill(Tensor& tensor, Draw draw) {
  Tensor ordered = Tensor::empty(tensor.shape(), {.dtype = tensor.dtype()});
  visit_floating(tensor.dtype(), "random fill", [&](auto zero) {
    using T = decltype(zero);
    T* out = ordered.mutable_data<T>();
    for (int64_t i = 0; i < tensor.numel(); ++i) out[i] = convert<T>(draw());
  });
  tensor.copy_from(ordered);
}

}  // namespace

void fill_normal(Tensor& tensor, double mean, double deviation, CountedRandom& random) {
  fill(tensor, [&] { return mean + deviation * random.normal(); });
}

void fill_uniform(Tensor& tensor, double low, double high, CountedRandom& random) {
  fill(tensor, [&] { return random.uniform(low, high); });
}

Tensor randn(const Shape& shape, CountedRandom& random, TensorOptions options) {
  Tensor result = Tensor::empty(shape, options);
  fill_normal(result, 0, 1, random);
  return result;
}

Tensor randn(const Shape& shape, uint64_t seed, TensorOptions options) {
  CountedRandom random(seed, RandomPurpose::synthetic);
  return randn(shape, random, options);
}

Tensor rand(const Shape& shape, CountedRandom& random, TensorOptions options) {
  Tensor result = Tensor::empty(shape, options);
  fill_uniform(result, 0, 1, random);
  return result;
}

Tensor rand(const Shape& shape, uint64_t seed, TensorOptions options) {
  CountedRandom random(seed, RandomPurpose::synthetic);
  return rand(shape, random, options);
}

}  // namespace graft
