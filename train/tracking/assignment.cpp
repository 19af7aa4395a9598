#include "graft/train/tracking/assignment.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graft/core/base/error.h"

namespace graft::train {
namespace {

// At least as many columns as rows. Places count from 1; 0 is the row, or the column, that is not
// there.
class ShortestPaths {
 public:
  ShortestPaths(std::span<const double> costs, size_t rows, size_t columns, bool is_turned)
      : costs_(costs),
        rows_(rows),
        columns_(columns),
        is_turned_(is_turned),
        of_row_(rows + 1),
        of_column_(columns + 1),
        row_of_(columns + 1),
        before_(columns + 1) {}

  // The row of each column, from 0; -1: none.
  std::vector<int64_t> rows_of_columns() {
    for (size_t row = 1; row <= rows_; ++row) place(row);
    std::vector<int64_t> rows(columns_);
    for (size_t column = 1; column <= columns_; ++column)
      rows[column - 1] = static_cast<int64_t>(row_of_[column]) - 1;
    return rows;
  }

 private:
  double cost(size_t row, size_t column) const {
    return is_turned_ ? costs_[(column - 1) * rows_ + row - 1]
                      : costs_[(row - 1) * columns_ + column - 1];
  }

  // The shortest path of changes that gives `row` a column: `of_row_` and `of_column_` are the
  // prices that keep every cost - price from falling below 0.
  void place(size_t row) {
    row_of_[0] = row;
    std::vector<double> least(columns_ + 1, std::numeric_limits<double>::infinity());
    std::vector<bool> is_done(columns_ + 1);
    size_t column = 0;
    do {
      is_done[column] = true;
      column = nearest(column, least, is_done);
    } while (row_of_[column] != 0);
    for (; column != 0; column = before_[column]) row_of_[column] = row_of_[before_[column]];
  }

  size_t nearest(size_t from, std::vector<double>& least, const std::vector<bool>& is_done) {
    const size_t row = row_of_[from];
    double step = std::numeric_limits<double>::infinity();
    size_t next = 0;
    for (size_t column = 1; column <= columns_; ++column) {
      if (is_done[column]) continue;
      const double by = cost(row, column) - of_row_[row] - of_column_[column];
      if (by < least[column]) {
        least[column] = by;
        before_[column] = from;
      }
      if (least[column] < step || next == 0) {
        step = least[column];
        next = column;
      }
    }
    for (size_t column = 0; column <= columns_; ++column) {
      if (is_done[column]) {
        of_row_[row_of_[column]] += step;
        of_column_[column] -= step;
      } else {
        least[column] -= step;
      }
    }
    return next;
  }

  std::span<const double> costs_;
  size_t rows_, columns_;
  bool is_turned_;  // costs_ has the columns first
  std::vector<double> of_row_, of_column_;
  std::vector<size_t> row_of_, before_;
};

}  // namespace

std::vector<int64_t> assigned(std::span<const double> costs, int64_t rows, int64_t columns) {
  GRAFT_CHECK(rows >= 0 && columns >= 0 && std::ssize(costs) == rows * columns, costs.size(),
              " costs for ", rows, " rows and ", columns, " columns");
  for (const double cost : costs) GRAFT_CHECK(std::isfinite(cost), "a cost that is not finite");
  std::vector<int64_t> column_of(static_cast<size_t>(rows), -1);
  if (rows == 0 || columns == 0) return column_of;
  const bool is_turned = rows > columns;
  const auto short_side = static_cast<size_t>(std::min(rows, columns));
  const auto long_side = static_cast<size_t>(std::max(rows, columns));
  const std::vector<int64_t> pairs =
      ShortestPaths(costs, short_side, long_side, is_turned).rows_of_columns();
  if (is_turned) return pairs;
  for (size_t column = 0; column < pairs.size(); ++column)
    if (pairs[column] >= 0)
      column_of[static_cast<size_t>(pairs[column])] = static_cast<int64_t>(column);
  return column_of;
}

std::vector<int64_t> assigned_within(std::span<const double> costs, int64_t rows, int64_t columns,
                                     double most) {
  std::vector<double> bounded(costs.begin(), costs.end());
  for (double& cost : bounded) cost = cost <= most ? cost : most;  // NaN too
  std::vector<int64_t> column_of = assigned(bounded, rows, columns);
  for (int64_t row = 0; row < rows; ++row) {
    int64_t& column = column_of[static_cast<size_t>(row)];
    if (column >= 0 && !(costs[static_cast<size_t>(row * columns + column)] <= most)) column = -1;
  }
  return column_of;
}

}  // namespace graft::train
