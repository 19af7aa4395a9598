// Names in the order in which people count.
#include "graft/io/datasets/natural_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace graft::io {
namespace {

TEST(NaturalOrder, NumbersCountAsNumbers) {
  std::vector<std::string> names = {"f10.png", "f2.png", "f1.png", "f02.png",
                                    "e99",     "f",      "f2a",    "10",
                                    "9",       "f1/3",   "f1/20",  "f99999999999999999999999.png"};
  std::sort(names.begin(), names.end(), natural_less);
  EXPECT_EQ(names, (std::vector<std::string>{"9", "10", "e99", "f", "f1.png", "f1/3", "f1/20",
                                             "f2.png", "f02.png", "f2a", "f10.png",
                                             "f99999999999999999999999.png"}));
}

TEST(NaturalOrder, IsAStrictWeakOrder) {
  const std::vector<std::string> names = {"",   "0",   "00",    "a0",    "a00",  "a",
                                          "0a", "00a", "a1b02", "a01b2", "\xff", "a\x00b"};
  for (const std::string& a : names) {
    EXPECT_FALSE(natural_less(a, a));
    for (const std::string& b : names) {
      EXPECT_EQ(a == b, !natural_less(a, b) && !natural_less(b, a)) << a << " " << b;
      for (const std::string& c : names)
        EXPECT_TRUE(!natural_less(a, b) || !natural_less(b, c) || natural_less(a, c));
    }
  }
}

}  // namespace
}  // namespace graft::io
