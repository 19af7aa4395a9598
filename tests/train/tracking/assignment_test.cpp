// The assignment problem, compared with trying every way.
#include "graft/train/tracking/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "graft/core/base/error.h"

namespace graft::train {
namespace {

double sum_of(const std::vector<double>& costs, int64_t columns,
              const std::vector<int64_t>& column_of) {
  double sum = 0;
  for (size_t r = 0; r < column_of.size(); ++r)
    if (column_of[r] >= 0) sum += costs[r * static_cast<size_t>(columns) + size_t(column_of[r])];
  return sum;
}

// By every order of the columns; of fewer columns than rows the rest are none.
double least_sum(const std::vector<double>& costs, int64_t rows, int64_t columns) {
  std::vector<int64_t> order(static_cast<size_t>(std::max(rows, columns)));
  std::iota(order.begin(), order.end(), 0);
  double least = std::numeric_limits<double>::infinity();
  do {
    std::vector<int64_t> column_of(order.begin(), order.begin() + rows);
    for (int64_t& column : column_of)
      if (column >= columns) column = -1;
    least = std::min(least, sum_of(costs, columns, column_of));
  } while (std::next_permutation(order.begin(), order.end()));
  return least;
}

// Numbers of a formula, some of them equal.
std::vector<double> made_costs(int64_t count, uint64_t seed) {
  std::vector<double> costs;
  uint64_t state = seed * 2654435761u + 1;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    costs.push_back(static_cast<double>(state >> 33 & 15) / 4 - 1);
  }
  return costs;
}

TEST(Assignment, IsTheCheapestOfAll) {
  for (int64_t rows = 1; rows <= 6; ++rows)
    for (int64_t columns = 1; columns <= 6; ++columns)
      for (uint64_t seed = 0; seed < 8; ++seed) {
        const std::vector<double> costs = made_costs(rows * columns, seed);
        const std::vector<int64_t> found = assigned(costs, rows, columns);
        EXPECT_EQ(std::count_if(found.begin(), found.end(), [](int64_t c) { return c >= 0; }),
                  std::min(rows, columns));
        std::vector<bool> is_taken(static_cast<size_t>(columns));
        for (const int64_t column : found) {
          if (column < 0) continue;
          EXPECT_FALSE(is_taken.at(static_cast<size_t>(column)));
          is_taken[static_cast<size_t>(column)] = true;
        }
        EXPECT_NEAR(sum_of(costs, columns, found), least_sum(costs, rows, columns), 1e-12)
            << rows << "x" << columns << " " << seed;
        EXPECT_EQ(found, assigned(costs, rows, columns));
      }
}

TEST(Assignment, OfEqualCostsTheFirst) {
  EXPECT_EQ(assigned(std::vector<double>(9, 1.0), 3, 3), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(assigned(std::vector<double>(6, 1.0), 2, 3), (std::vector<int64_t>{0, 1}));
}

TEST(Assignment, PairsBeyondTheBoundAreNone) {
  const double never = std::numeric_limits<double>::infinity();
  // A pair of 0.1 alone is worth more than two of 0.45, of a bound of 0.5.
  EXPECT_EQ(assigned_within(std::vector<double>{0.1, 0.45, 0.45, 0.9}, 2, 2, 0.5),
            (std::vector<int64_t>{0, -1}));
  EXPECT_EQ(assigned_within(std::vector<double>{0.1, 0.2, 0.2, 0.9}, 2, 2, 0.5),
            (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(assigned_within(std::vector<double>{never, never}, 1, 2, 0.5),
            (std::vector<int64_t>{-1}));
}

TEST(Assignment, OddCallsAreRefused) {
  EXPECT_TRUE(assigned({}, 0, 3).empty());
  EXPECT_EQ(assigned({}, 2, 0), (std::vector<int64_t>{-1, -1}));
  EXPECT_THROW(assigned(std::vector<double>{1, 2}, 2, 2), Error);
  EXPECT_THROW(assigned(std::vector<double>{std::numeric_limits<double>::quiet_NaN()}, 1, 1),
               Error);
}

// A case that greedy choices lose, of a size at which O(n^3) shows.
TEST(Assignment, LargeProblemsAreSolved) {
  const int64_t n = 300;
  std::vector<double> costs;
  for (int64_t r = 0; r < n; ++r)
    for (int64_t c = 0; c < n; ++c) costs.push_back(static_cast<double>((r + 1) * (c + 1)));
  double sum = 0;
  for (int64_t r = 0; r < n; ++r) sum += static_cast<double>((r + 1) * (n - r));
  EXPECT_NEAR(sum_of(costs, n, assigned(costs, n, n)), sum, 1e-6);
}

}  // namespace
}  // namespace graft::train
