// What the cells of a table's label columns say: several labels joined by a mark, yes or no, a
// number.
#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

// "1", "1.0", "true" and "0", "0.0", "false", in any case; else nothing.
GRAFT_API std::optional<bool> yes_or_no(const std::string& cell);
// A finite number that is all of the cell; else nothing.
GRAFT_API std::optional<double> number_in(const std::string& cell);

// The parts between the marks, without blanks around them; empty ones are none.
GRAFT_API std::vector<std::string> parts_of_cell(const std::string& cell, char mark);
// Whether at least two cells hold several parts and at least two parts come again in other cells.
GRAFT_API bool look_joined(const std::set<std::string>& cells, char mark);
// The mark of cells that hold several labels: | where there is one, else the one of ; , and blank
// by which they look joined, else |.
GRAFT_API char joining_mark(const std::set<std::string>& cells);

}  // namespace graft::io
