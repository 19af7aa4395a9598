// report.html stays a page that a browser opens, whatever the number of classes and their names.
#include "graft/tools/report.h"

#include <gtest/gtest.h>

#include "graft/train/tasks/classification/classification.h"
#include "graft/train/tasks/presentation.h"

namespace graft::tools {
namespace {

// Each class is found twice, and taken for another one to three times.
RunReport report_of(const std::vector<std::string>& names) {
  const int64_t classes = std::ssize(names);
  std::vector<int64_t> predicted, labels;
  for (int64_t c = 0; c < classes; ++c) {
    predicted.insert(predicted.end(), 2, c);
    predicted.insert(predicted.end(), static_cast<size_t>(1 + c % 3), (c * 7 + 1) % classes);
    labels.resize(predicted.size(), c);
  }
  train::Evaluation evaluation(classes);
  evaluation.add(predicted, Tensor::of<int64_t>({std::ssize(labels)}, labels));
  const train::Classification task(classes, {.names = names});
  RunReport report;
  report.title = "a run";
  report.results = task.presentation()->html(evaluation, nullptr, "");
  return report;
}

std::vector<std::string> species(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back("species " + std::to_string(i));
  return names;
}

TEST(Report, ThreeThousandClassesMakeNoMatrix) {
  const std::string html = report_html(report_of(species(3000)));
  EXPECT_LT(html.size(), size_t{5} << 20);
  EXPECT_NE(html.find("species 2999"), std::string::npos);
  EXPECT_LT(report_html(report_of(species(100))).size(), size_t{5} << 20);
}

TEST(Report, NamesAreText) {
  RunReport report = report_of({"<script>alert(1)</script>", "a\x1b[31m&\"'"});
  report.warnings = {"<img src=x onerror=alert(2)>"};
  const std::string html = report_html(report);
  EXPECT_EQ(html.find("<script>alert"), std::string::npos);
  EXPECT_EQ(html.find("<img src=x"), std::string::npos);
  EXPECT_EQ(html.find('\x1b'), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;alert(1)"), std::string::npos);
}

}  // namespace
}  // namespace graft::tools
