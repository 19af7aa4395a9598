// report.html stays a page that a browser opens, whatever the number of classes and their names.
#include "graft/tools/report.h"

#include <gtest/gtest.h>

namespace graft::tools {
namespace {

RunReport report_of(size_t classes) {
  RunReport report;
  report.title = "a run";
  for (size_t c = 0; c < classes; ++c) report.classes.push_back("species " + std::to_string(c));
  report.confusion.assign(classes, std::vector<int64_t>(classes));
  for (size_t c = 0; c < classes; ++c) {
    report.confusion[c][c] = 2;
    report.confusion[c][(c * 7 + 1) % classes] += 1 + static_cast<int64_t>(c % 3);
  }
  return report;
}

TEST(Report, ThreeThousandClassesMakeNoMatrix) {
  const std::string html = report_html(report_of(3000));
  EXPECT_LT(html.size(), size_t{5} << 20);
  EXPECT_NE(html.find("species 2999"), std::string::npos);
  EXPECT_LT(report_html(report_of(100)).size(), size_t{5} << 20);
}

TEST(Report, NamesAreText) {
  RunReport report = report_of(2);
  report.classes = {"<script>alert(1)</script>", "a\x1b[31m&\"'"};
  report.warnings = {"<img src=x onerror=alert(2)>"};
  const std::string html = report_html(report);
  EXPECT_EQ(html.find("<script>alert"), std::string::npos);
  EXPECT_EQ(html.find("<img src=x"), std::string::npos);
  EXPECT_EQ(html.find('\x1b'), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;alert(1)"), std::string::npos);
}

}  // namespace
}  // namespace graft::tools
