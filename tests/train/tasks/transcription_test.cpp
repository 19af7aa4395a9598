// Transcription: searches and edit distances against goldens and closed forms, texts as targets,
// and what the task says of them.
#include "graft/train/tasks/transcription/transcription.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "graft/core/base/error.h"
#include "graft/io/datasets/texts.h"
#include "graft/io/weights/weights.h"
#include "graft/layers/functional/softmax.h"
#include "graft/train/tasks/presentation.h"
#include "graft/train/tasks/table.h"
#include "graft/train/tasks/transcription/edit_distance.h"
#include "graft/train/tasks/transcription/text_evaluation.h"

namespace graft::train {
namespace {

using Labels = std::vector<int64_t>;

Tensor text_golden(const std::string& name) {
  static const io::WeightFile file = io::read_weights(GRAFT_TEST_DATA "/ctc/goldens.npz");
  return file.tensors.at(name);
}

// log-probabilities of logits [T,C].
struct LogRows {
  explicit LogRows(const Tensor& logits) {
    const Tensor rows = functional::log_softmax(logits, 1);
    for (const double value : rows.to_doubles()) log_p.push_back(static_cast<float>(value));
    scores = {log_p, logits.size(1), kBlank};
  }
  std::vector<float> log_p{};
  StepScores scores{};
};

// Of rows that say nearly surely which class is there.
Tensor sure_rows(const Labels& path, int64_t classes) {
  Tensor rows = Tensor::zeros({std::ssize(path), classes});
  for (size_t t = 0; t < path.size(); ++t)
    rows.mutable_data<float>()[static_cast<int64_t>(t) * classes + path[t]] = 12;
  return rows;
}

TEST(SequenceSearch, GreedyTakesRepeatsOnceAndLeavesBlanksOut) {
  const auto spelled = [](const Labels& path) {
    return greedy_labels(LogRows(sure_rows(path, 4)).scores);
  };
  EXPECT_EQ(spelled({0, 1, 1, 0, 1, 2, 2, 0, 0, 3}), (Labels{1, 1, 2, 3}));
  EXPECT_EQ(spelled({0, 0, 0}), Labels{});
  EXPECT_EQ(spelled({2, 2, 2}), Labels{2});
  EXPECT_EQ(greedy_labels(LogRows(Tensor::zeros({3, 4})).scores), Labels{})
      << "the first of equals";
}

TEST(SequenceSearch, BeamEqualsTheGoldens) {
  for (const std::string name : {"beam0", "beam1", "beam2"}) {
    const LogRows rows(text_golden(name + "_logits"));
    const Tensor width = text_golden(name + "_width"), best = text_golden(name + "_best");
    const auto found = beam_search(rows.scores, width.data<int64_t>()[0]);
    const std::vector<double> log = text_golden(name + "_log").to_doubles();
    ASSERT_EQ(found.size(), log.size()) << name;
    EXPECT_EQ(found[0].labels, Labels(best.data<int64_t>(), best.data<int64_t>() + best.numel()))
        << name;
    for (size_t i = 0; i < log.size(); ++i)
      EXPECT_NEAR(found[i].log_p, log[i], 1e-4 * std::abs(log[i])) << name << " " << i;
  }
}

// With room for every prefix the search is exact: the sum over all paths that spell each.
TEST(SequenceSearch, AWideBeamIsExact) {
  const Tensor logits = Tensor::of<float>(
      {4, 3}, {0.3F, 1.1F, -0.4F, 0.9F, 0.2F, 0.5F, -0.7F, 0.1F, 0.8F, 0.4F, 0.6F, -0.2F});
  const LogRows rows(logits);
  std::map<Labels, double> exact;
  for (int64_t k = 0; k < 81; ++k) {
    Labels path;
    double product = 1;
    for (int64_t t = 0, rest = k; t < 4; ++t, rest /= 3) {
      path.push_back(rest % 3);
      product *= std::exp(rows.scores.at(t, rest % 3));
    }
    exact[greedy_labels(LogRows(sure_rows(path, 3)).scores)] += product;
  }
  const auto found = beam_search(rows.scores, 1000);
  ASSERT_EQ(found.size(), exact.size());
  for (const FoundLabels& own : found) EXPECT_NEAR(std::exp(own.log_p), exact.at(own.labels), 1e-6);
  for (size_t i = 1; i < found.size(); ++i) EXPECT_GE(found[i - 1].log_p, found[i].log_p);
}

// Two steps, blank 0.6 and label 0.4 each: the likeliest path is two blanks (0.36), but the label
// is spelled by three paths (0.64).
TEST(SequenceSearch, BeamSumsPathsWhereGreedyTakesOne) {
  const float a = std::log(0.6F), b = std::log(0.4F);
  const std::vector<float> log_p{a, b, a, b};
  const StepScores scores{log_p, 2, 0};
  EXPECT_EQ(greedy_labels(scores), Labels{});
  const auto found = beam_search(scores, 4);
  EXPECT_EQ(found[0].labels, Labels{1});
  EXPECT_NEAR(std::exp(found[0].log_p), 0.64, 1e-6);
  EXPECT_THROW(beam_search(scores, 0), Error);
}

TEST(EditDistance, EqualsTheGoldensAndKnownWords) {
  const Tensor pairs = text_golden("distance_pairs"), expected = text_golden("distance");
  const auto sequence = [](const int64_t* from) {
    std::vector<std::string> items;
    for (int64_t i = 0; i < 10 && from[i] >= 0; ++i) items.push_back(std::to_string(from[i]));
    return items;
  };
  for (int64_t k = 0; k < pairs.size(0); ++k) {
    const int64_t* row = pairs.data<int64_t>() + 20 * k;
    EXPECT_EQ(edit_distance(sequence(row), sequence(row + 10)), expected.data<int64_t>()[k]) << k;
  }
  EXPECT_EQ(edit_distance(io::characters_of("kitten"), io::characters_of("sitting")), 3);
  EXPECT_EQ(edit_distance(io::characters_of("año"), io::characters_of("ano")), 1);
}

TEST(EditDistance, RatesAreOfAllCharactersAndWords) {
  ErrorRates rates;
  rates.add("one two three", "one to three");  // 1 of 13 characters, 1 of 3 words
  rates.add("one", "one");
  rates.add("", "x");
  EXPECT_EQ(rates.texts(), 3);
  EXPECT_EQ(rates.right(), 1);
  EXPECT_DOUBLE_EQ(rates.character_error_rate(), 2.0 / 16);
  EXPECT_DOUBLE_EQ(rates.word_error_rate(), 2.0 / 4);
  EXPECT_EQ(ErrorRates().character_error_rate(), 0);
  EXPECT_EQ(words_of("  a bc  d "), (std::vector<std::string>{"a", "bc", "d"}));
}

TEST(Texts, AreCleanedOrRefused) {
  EXPECT_EQ(io::clean_text("  one\ttwo\r\n three \n", "x"), "one two three");
  EXPECT_EQ(io::clean_text("e\xcc\x81t\xc3\xa9", "x"), "\xc3\xa9t\xc3\xa9") << "composed";
  EXPECT_EQ(io::clean_text(" \n", "x"), "");
  EXPECT_EQ(io::characters_of("a\xc3\xa9\xf0\x9f\x98\x80").size(), 3u);
  for (const std::string& bad : {std::string("a\xff"),
                                 std::string("a\x01"
                                             "b"),
                                 std::string(20000, 'a')})
    EXPECT_THROW(io::clean_text(bad, "x"), Error);
}

// Two samples of made-up texts.
class TextSamples final : public io::Dataset {
 public:
  int64_t size() const override { return 2; }
  int64_t label(int64_t) const override { return 0; }
  io::Image image(int64_t) const override { bad_input("no image"); }
  std::string name(int64_t i) const override { return i == 0 ? "a.wav" : "b.wav"; }
  std::string fingerprint() const override { return ""; }
  std::string text(int64_t i) const override { return i == 0 ? "122" : "31x"; }
};

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Transcription, MakesTargetsAndSaysWhatIsTooLong) {
  const Transcription task({.characters = {"1", "2", "3"}, .lengths = {{"a.wav", 3, 4}}});
  EXPECT_EQ(task.outputs(), 4);
  EXPECT_FALSE(task.head().has_places());
  const int64_t both[] = {0, 1};
  const Targets targets = task.targets(TextSamples(), both);
  const int64_t* rows = targets.one().data<int64_t>();
  EXPECT_EQ(Labels(rows, rows + 6), (Labels{1, 2, 2, 3, 1, kUnknownCharacter}));
  task.check(task.targets(TextSamples(), std::span(both).first(1)), Shape{1, 4, 4});
  const std::string error = message_of([&] {
    task.check(task.targets(TextSamples(), std::span(both).first(1)), Shape{1, 3, 4});
  });
  EXPECT_NE(error.find("has 3 steps for a sample, and 1 training text needs more: a.wav (3 "
                       "characters, 4 steps)"),
            std::string::npos)
      << error;
}

TEST(Transcription, IsJudgedByErrorRates) {
  const Transcription task({.characters = {"1", "2", "3"}});
  const int64_t both[] = {0, 1};
  Tensor outputs = Tensor::empty({2, 5, 4});
  const Tensor right = sure_rows({1, 2, 0, 2, 0}, 4), wrong = sure_rows({3, 3, 0, 0, 2}, 4);
  std::copy_n(right.data<float>(), 20, outputs.mutable_data<float>());
  std::copy_n(wrong.data<float>(), 20, outputs.mutable_data<float>() + 20);
  const auto metric = task.metric();
  metric->add(outputs, task.targets(TextSamples(), both));
  const auto& texts = dynamic_cast<const TextEvaluation&>(*metric);
  EXPECT_EQ(texts.rates().right(), 1);
  EXPECT_EQ(texts.with_unknown(), 1);
  ASSERT_EQ(texts.mistaken().size(), 1u);
  EXPECT_EQ(texts.mistaken()[0].said, "32");
  // "31" and a character that is not known against "32": two edits of six characters.
  EXPECT_DOUBLE_EQ(metric->score(), 2.0 / 6);
  EXPECT_DOUBLE_EQ(metric->scores()[1], 1.0 / 2);
  EXPECT_LT(metric->loss(), 0.01);
  const auto shown = task.presentation();
  const Tensor read = shown->readable(outputs);
  const std::span<const float> row(read.data<float>(), 20);
  EXPECT_EQ(shown->answer_text(row, 1).substr(0, 4), "122\t");
  EXPECT_NE(shown->answer_json(row, 1).find("\"text\":\"122\""), std::string::npos);
  EXPECT_EQ(shown->said(row, 1).at(0).name, "122");
  EXPECT_GT(shown->said(row, 1).at(0).value, 0.99F);
  EXPECT_EQ(std::get<std::string>(shown->answer_cells(row).at(0)), "122");
  EXPECT_NE(shown->text(*metric).find("1 texts are right"), std::string::npos);
}

TEST(Transcription, TextsTooLongAreCountedWhenJudged) {
  const Transcription task({.characters = {"1", "2", "3"}});
  const int64_t first[] = {0};
  const auto metric = task.metric();
  metric->add(Tensor::zeros({1, 3, 4}), task.targets(TextSamples(), first));
  const auto& texts = dynamic_cast<const TextEvaluation&>(*metric);
  ASSERT_EQ(texts.too_long().size(), 1u);
  EXPECT_EQ(texts.too_long()[0].needs, 4);
  EXPECT_TRUE(std::isnan(metric->loss()));
  EXPECT_NE(task.presentation()->text(*metric).find("sample 1: needs 4 steps of 3"),
            std::string::npos);
}

TEST(Transcription, ComesBackFromItsCard) {
  const Transcription task({.characters = {"a", "\xc3\xa9", " "}, .beam = kBeam});
  const auto again = task_of_card(task.card());
  EXPECT_EQ(again->name(), "transcribe");
  EXPECT_EQ(again->card().json, task.card().json);
  const auto refused = [&](const std::string& json, int64_t outputs) {
    return message_of([&] { task_of_card({.json = json, .outputs = outputs}); });
  };
  EXPECT_NE(refused(R"({"name":"transcribe"})", 3).find("which characters"), std::string::npos);
  EXPECT_NE(
      refused(R"({"name":"transcribe","beam":1,"characters":["a","a"]})", 3).find("is there twice"),
      std::string::npos);
  EXPECT_NE(refused(R"({"name":"transcribe","beam":1,"characters":["ab"]})", 2)
                .find("is not one character"),
            std::string::npos);
  EXPECT_NE(refused(R"({"name":"transcribe","beam":0,"characters":["a"]})", 2).find("beam"),
            std::string::npos);
  EXPECT_NE(refused(R"({"name":"transcribe","beam":1,"characters":["a"]})", 5)
                .find("1 characters for 5 outputs"),
            std::string::npos);
}

}  // namespace
}  // namespace graft::train
