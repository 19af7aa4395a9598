#include "graft/kernels/cpu/column_sums.h"

#include <algorithm>
#include <vector>

namespace graft::cpu {

template <class T>
void column_sums(ExecContext& context, const KernelTable<T>& table, const T* in, int64_t rows,
                 int64_t channels, typename ParameterOf<T>::type* sums) {
  constexpr int64_t most_blocks = 256, least_rows = 64;
  const int64_t block = std::max(least_rows, ceil_div(rows, most_blocks)),
                blocks = ceil_div(rows, block);
  using P = typename ParameterOf<T>::type;
  const Scratch<P> partial(blocks * channels);
  context.parallel_for(blocks, [&](int64_t b) {
    P* to = partial.data() + b * channels;
    std::fill_n(to, channels, P(0));
    table.add_rows(in + b * block * channels, channels, std::min(block, rows - b * block), channels,
                   to);
  });
  std::vector<double> total(static_cast<size_t>(channels));
  for (int64_t b = 0; b < blocks; ++b)
    for (int64_t c = 0; c < channels; ++c)
      total[static_cast<size_t>(c)] += static_cast<double>(partial.data()[b * channels + c]);
  for (int64_t c = 0; c < channels; ++c) sums[c] = static_cast<P>(total[static_cast<size_t>(c)]);
}

template void column_sums(ExecContext&, const KernelTable<float>&, const float*, int64_t, int64_t,
                          float*);
template void column_sums(ExecContext&, const KernelTable<double>&, const double*, int64_t, int64_t,
                          double*);
template void column_sums(ExecContext&, const KernelTable<Bf16>&, const Bf16*, int64_t, int64_t,
                          float*);

}  // namespace graft::cpu
