// BlockMoments: means and squared deviations of blocks of rows, each by whoever has the block at
// hand, then joined in order.
#pragma once
#include <algorithm>

#include "graft/kernels/cpu/engine.h"

namespace graft::cpu {

// Of [rows][channels] in blocks of block_rows. P: what sums of the images' type are kept in.
template <class P>
class BlockMoments {
 public:
  BlockMoments(int64_t rows, int64_t block_rows, int64_t channels)
      : rows_(rows),
        block_rows_(block_rows),
        channels_(channels),
        blocks_(ceil_div(rows, block_rows)),
        means_(blocks_ * channels),
        squares_(blocks_ * channels) {}

  int64_t blocks() const { return blocks_; }
  int64_t rows(int64_t block) const { return std::min(block_rows_, rows_ - block * block_rows_); }
  P* means(int64_t block) const { return means_.data() + block * channels_; }
  P* squares(int64_t block) const { return squares_.data() + block * channels_; }

  // Chan, Golub & LeVeque 1979: joining two sets of moments, block after block, in double.
  // variance: the biased one.
  void join(ExecContext& context, P* mean, P* variance) const {
    constexpr int64_t step = 64;
    context.parallel_for(ceil_div(channels_, step), [&](int64_t i) {
      const int64_t begin = i * step, count = std::min(step, channels_ - begin);
      double m[step] = {}, s[step] = {}, joined = 0;
      for (int64_t b = 0; b < blocks_; ++b) {
        const auto n = static_cast<double>(rows(b));
        const double share = n / (joined + n), weight = joined * share;
        const P *block_mean = means(b) + begin, *block_squares = squares(b) + begin;
        for (int64_t c = 0; c < count; ++c) {
          const double delta = static_cast<double>(block_mean[c]) - m[c];
          m[c] += delta * share;
          s[c] += static_cast<double>(block_squares[c]) + delta * delta * weight;
        }
        joined += n;
      }
      for (int64_t c = 0; c < count; ++c) {
        mean[begin + c] = static_cast<P>(m[c]);
        variance[begin + c] = static_cast<P>(s[c] / joined);
      }
    });
  }

 private:
  int64_t rows_, block_rows_, channels_, blocks_;
  Scratch<P> means_, squares_;
};

}  // namespace graft::cpu
