// Which files of a data set are left out, and how that is told.
#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace graft::io {

// How a data set without its faulty files tells of them.
struct LeftOut {
  std::string of_all;  // behind "3 of 40 ": "images are broken"
  std::string noun;    // behind how many more there are: "images"
  double tolerated_share;
  size_t shown = std::numeric_limits<size_t>::max();  // faults told one by one
};

// The indices of the files without a fault, in order. `faults`: a sentence for each file, "" where
// there is none; those go to `notes`. Error when more than the tolerated share has one.
std::vector<int64_t> without_faults(const std::vector<std::string>& faults, const LeftOut& said,
                                    std::vector<std::string>& notes);

// `all` becomes those at `kept`, which ascends.
template <class T>
void keep_only(std::vector<T>& all, const std::vector<int64_t>& kept) {
  size_t next = 0;
  for (const int64_t from : kept) {
    const auto i = static_cast<size_t>(from);
    if (next != i) all[next] = std::move(all[i]);
    ++next;
  }
  all.resize(next);
}

}  // namespace graft::io
