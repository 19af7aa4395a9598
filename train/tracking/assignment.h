// The assignment problem: rows and columns paired so that the costs of the pairs add up to least.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::train {

// costs [rows,columns], finite -> the column of each row, -1: it has none. As many pairs as the
// smaller side has; of solutions of equal cost always the same. O(n^2 m), n the smaller side.
// Source: Kuhn's Hungarian method, by shortest augmenting paths (Jonker and Volgenant, 1987).
// Error(bad_input) for a cost that is not finite, and for another number of costs.
GRAFT_API std::vector<int64_t> assigned(std::span<const double> costs, int64_t rows,
                                        int64_t columns);

// Pairs that cost `most` or less, so that the sum of what each costs less than `most` is largest:
// a row may stay alone rather than be paired at more. Costs may be infinite.
GRAFT_API std::vector<int64_t> assigned_within(std::span<const double> costs, int64_t rows,
                                               int64_t columns, double most);

}  // namespace graft::train
