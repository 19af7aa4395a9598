// report.html stays a page that a browser opens, whatever the number of classes and their names.
#include "graft/tools/report.h"

#include <gtest/gtest.h>

#include "graft/core/base/error.h"
#include "graft/tools/pictures.h"
#include "graft/train/tasks/classification/classification.h"
#include "graft/train/tasks/classification/noteworthy.h"
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

train::JudgedSample judged(int label, int predicted, float certainty, float in_label) {
  return {label, predicted, certainty, in_label};
}

TEST(Report, LikelyWrongLabelsAreSureAnswersThatContradictThem) {
  // Class 0 has 0.8 in the mean of its images, class 1 0.5.
  const std::vector<train::JudgedSample> answers = {
      judged(0, 0, 0.9f, 0.9f),     // right
      judged(0, 0, 0.7f, 0.7f),     // right
      judged(1, 0, 0.7f, 0.3f),     // wrong, and less sure than class 0 usually is
      judged(1, 0, 0.95f, 0.05f),   // as sure as can be
      judged(1, 1, 0.95f, 0.95f),   // right
      judged(1, 1, 0.7f, 0.7f),     // right
      judged(2, 1, 0.52f, 0.2f),    // a class of one image
      judged(2, 3, 0.99f, 0.01f)};  // called a class that has no images: nothing to go by
  EXPECT_EQ(train::likely_wrong_labels(answers), (std::vector<int64_t>{3, 6}));
  const auto kinds = train::noteworthy_answers(answers, 2);
  ASSERT_EQ(kinds.size(), 3u);
  EXPECT_EQ(kinds[0].samples, (std::vector<int64_t>{7, 3})) << "worst mistakes";
  EXPECT_EQ(kinds[1].samples, (std::vector<int64_t>{4, 0})) << "most certain";
  EXPECT_NE(kinds[0].why.find("2 of 4"), std::string::npos) << kinds[0].why;
  EXPECT_TRUE(train::noteworthy_answers({}, 2).empty());
}

// A part of grey photos of one size; the one at `gone` cannot be read any more.
class GreyPhotos final : public io::Dataset {
 public:
  explicit GreyPhotos(int64_t gone) : gone_(gone) {}
  int64_t size() const override { return 60; }
  int64_t label(int64_t i) const override { return i % 2; }
  io::Image image(int64_t i) const override {
    if (i == gone_) bad_input("photo ", i, ": it was removed");
    return {300, 200, 1,
            Tensor::full({200, 300, 1}, static_cast<double>(4 * i), {.dtype = DType::u8})};
  }
  std::string name(int64_t i) const override { return str("in/<b>\x1b", i, ".jpg"); }
  std::string fingerprint() const override { return ""; }

 private:
  int64_t gone_;
};

TEST(Report, PicturesAreSmallAndOnThePage) {
  train::Evaluation evaluation(2);
  std::vector<float> logits;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 60; ++i) {
    const float sure = static_cast<float>(i) / 10;
    logits.insert(logits.end(), {i % 3 == 0 ? sure : -sure, 0.1f});
    labels.push_back(i % 2);
  }
  const Tensor outputs = Tensor::of<float>({60, 2}, logits);
  evaluation.add_logits(outputs, Tensor::of<int64_t>({60}, labels));
  const train::Classification task(2, {.names = {"<script>", "blue"}});
  const auto part = std::make_shared<GreyPhotos>(59);
  std::vector<int64_t> asked;
  const AskNetwork ask = [&](const std::vector<int64_t>& samples) {
    asked = samples;
    std::vector<float> rows;
    for (const int64_t i : samples)
      rows.insert(rows.end(),
                  {logits[static_cast<size_t>(2 * i)], logits[static_cast<size_t>(2 * i + 1)]});
    return Tensor::of<float>({std::ssize(samples), 2}, rows);
  };
  const std::string html = pictures_html({part, part, io::imagenet_preprocess(224)},
                                         *task.presentation(), evaluation, ask);
  EXPECT_LE(asked.size(), 36u);
  size_t pictures = 0;
  for (size_t at = html.find("data:image/jpeg;base64,/9j/"); at != std::string::npos;
       at = html.find("data:image/jpeg;base64,/9j/", at + 1))
    ++pictures;
  EXPECT_GE(pictures, 20u);
  EXPECT_LE(pictures, 44u);
  EXPECT_NE(html.find("cannot be read any more"), std::string::npos);
  for (const char* title :
       {"What the network sees", "Worst mistakes", "Most certain", "Labels that may be wrong"})
    EXPECT_NE(html.find(title), std::string::npos) << title;
  EXPECT_EQ(html.find("<script>"), std::string::npos);
  EXPECT_EQ(html.find("<b>"), std::string::npos);
  EXPECT_EQ(html.find('\x1b'), std::string::npos);
  EXPECT_LT(html.size(), size_t{44} * 4000) << "even photos";
}

}  // namespace
}  // namespace graft::tools
