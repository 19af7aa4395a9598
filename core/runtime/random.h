// Counted randomness (Philox4x32-10): every number is a function of (seed, purpose, epoch, sample,
// position), so the order of work and the number of threads never matter. Source: Salmon et al.,
// "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "graft/core/base/export.h"
#include "graft/core/tensor/tensor.h"

namespace graft {

// What a stream is for: two purposes never share numbers.
enum class RandomPurpose : uint32_t {
  initialization = 1,
  shuffle,
  augmentation,
  dropout,
  split,
  synthetic,
  mixing,
  bootstrap
};

class GRAFT_API CountedRandom {
 public:
  CountedRandom(uint64_t seed, RandomPurpose purpose, uint64_t epoch = 0, uint64_t sample = 0);

  uint32_t next();                          // uniform over 32 bits
  double uniform();                         // [0, 1), 53 bits
  double uniform(double low, double high);  // [low, high)
  double normal();                          // mean 0, variance 1 (Box-Muller)
  uint64_t below(uint64_t bound);           // [0, bound), without bias; bound > 0

  // The whole state is where the stream stands.
  uint64_t position() const { return position_; }
  // What names the stream, for kernels that compute its numbers themselves: the key, and the
  // counter's three upper words.
  const std::array<uint32_t, 2>& key() const { return key_; }
  const std::array<uint32_t, 3>& stream() const { return stream_; }
  void seek(uint64_t position) { position_ = position; }

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 3> stream_;
  uint64_t position_ = 0;  // in 32-bit numbers
  uint64_t block_index_ = ~uint64_t{0};
  std::array<uint32_t, 4> block_{};
};

// The block function itself: counter and key to four numbers. Exposed for tests against the
// published vectors.
GRAFT_API std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter,
                                                std::array<uint32_t, 2> key);

// A permutation of 0 .. count-1 (Fisher-Yates).
GRAFT_API std::vector<int64_t> random_permutation(int64_t count, CountedRandom& random);

// Fill a floating tensor (any float dtype) in logical order.
GRAFT_API void fill_normal(Tensor& tensor, double mean, double deviation, CountedRandom& random);
GRAFT_API void fill_uniform(Tensor& tensor, double low, double high, CountedRandom& random);

// A tensor of normal numbers (mean 0, variance 1), or of uniform ones in [0, 1), which narrow types
// may round to 1: the same for the same seed, or the next ones of a stream.
GRAFT_API Tensor randn(const Shape& shape, CountedRandom& random, TensorOptions options = {});
GRAFT_API Tensor randn(const Shape& shape, uint64_t seed, TensorOptions options = {});
GRAFT_API Tensor rand(const Shape& shape, CountedRandom& random, TensorOptions options = {});
GRAFT_API Tensor rand(const Shape& shape, uint64_t seed, TensorOptions options = {});

}  // namespace graft
