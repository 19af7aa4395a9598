#include "graft/io/datasets/natural_order.h"

#include <algorithm>

namespace graft::io {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The digits from `at` on, without leading zeros; `at` is moved behind them.
std::string_view number_at(std::string_view text, size_t& at) {
  while (at < text.size() && text[at] == '0') ++at;
  const size_t begin = at;
  while (at < text.size() && is_digit(text[at])) ++at;
  return text.substr(begin, at - begin);
}

// -1, 0, 1.
int compared(std::string_view a, std::string_view b) {
  size_t i = 0, k = 0;
  while (i < a.size() && k < b.size()) {
    if (is_digit(a[i]) && is_digit(b[k])) {
      const std::string_view left = number_at(a, i), right = number_at(b, k);
      if (left.size() != right.size()) return left.size() < right.size() ? -1 : 1;
      if (const int by = left.compare(right); by != 0) return by < 0 ? -1 : 1;
      continue;
    }
    if (a[i] != b[k])
      return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[k]) ? -1 : 1;
    ++i;
    ++k;
  }
  const size_t left = a.size() - i, right = b.size() - k;
  return left == right ? 0 : left < right ? -1 : 1;
}

}  // namespace

bool natural_less(std::string_view a, std::string_view b) {
  if (const int by = compared(a, b); by != 0) return by < 0;
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

}  // namespace graft::io
