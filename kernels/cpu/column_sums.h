// Sums over the rows of a matrix, cut by its shape alone.
#pragma once
#include "graft/kernels/cpu/engine.h"

namespace graft::cpu {

// sums[c] = sum over rows of in[row][c]; blocks of rows in T (float for bfloat16), the blocks in
// double.
template <class T>
void column_sums(ExecContext& context, const KernelTable<T>& table, const T* in, int64_t rows,
                 int64_t channels, typename ParameterOf<T>::type* sums);

}  // namespace graft::cpu
