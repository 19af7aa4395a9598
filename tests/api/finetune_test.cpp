// finetune(): every task from data to a model that a Predictor answers with; stopping.
#include <gtest/gtest.h>

#include <cmath>

#include "graft/graft.hpp"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

class Finetuning : public testing::Test {
 protected:
  // Red photos are warm, green ones warm and plants, blue ones nothing; 10.5, 20.5 and 30.5
  // degrees.
  void SetUp() override {
    const std::vector<std::string> colors = {"red", "green", "blue"};
    write_photos(folder / "photos", colors, 8, 24);
    const std::vector<std::string> flags = {"1,0", "1,1", "0,0"},
                                   degrees = {"10.5", "20.5", "30.5"};
    std::string labels = "path,warm,plant\n", numbers = "path,degrees\n";
    for (size_t c = 0; c < colors.size(); ++c)
      for (int i = 0; i < 8; ++i) {
        const std::string path = str("photos/", colors[c], "/", i, ".ppm,");
        labels += path + flags[c] + "\n";
        numbers += path + degrees[c] + "\n";
      }
    write_text(folder / "labels.csv", labels);
    write_text(folder / "numbers.csv", numbers);
  }
  // Trains, writes and loads again.
  Predictor trained(const std::string& data, FinetuneOptions options = {}) const {
    options.recipe.epochs = 80;
    options.fit.on_note = [this](const std::string& note) { notes += note + "\n"; };
    const Finetuned made = finetune(carried_weights(), folder / data, options);
    EXPECT_FALSE(made.result.interrupted);
    write_by_extension(folder / "model.safetensors", made.model);
    return Predictor(folder / "model.safetensors");
  }
  std::string photo(const std::string& color) const {
    return folder / ("photos/" + color + "/0.ppm");
  }
  TemporaryFolder folder;
  mutable std::string notes;
};

TEST_F(Finetuning, Classes) {
  const Predictor predictor = trained("photos");
  EXPECT_EQ(predictor.task(), "classify");
  EXPECT_EQ(predictor.labels(), (std::vector<std::string>{"blue", "green", "red"}));
  for (const std::string color : {"red", "green", "blue"})
    EXPECT_EQ(predictor.predict(photo(color)).said().at(0).name, color);
  EXPECT_NE(notes.find("a new head: 3 classes"), std::string::npos) << notes;
  EXPECT_FALSE(predictor.card().lineage.recipe.empty());
  EXPECT_FALSE(predictor.card().lineage.source_sha256.empty());
}

TEST_F(Finetuning, SeveralLabelsAtTheirThresholds) {
  const Predictor predictor = trained("labels.csv");
  EXPECT_EQ(predictor.task(), "multilabel");
  ASSERT_EQ(predictor.thresholds().size(), 2u);
  const auto names = [&](const std::string& color) {
    std::string said;
    for (const train::NamedValue& one : predictor.predict(photo(color)).said()) {
      said += one.name + " ";
      EXPECT_GE(static_cast<double>(one.value) + 1e-6,
                predictor.thresholds().at(static_cast<size_t>(one.index)));
    }
    return said;
  };
  EXPECT_EQ(names("red"), "warm ");
  EXPECT_EQ(names("blue"), "");
  EXPECT_NE(names("green").find("plant "), std::string::npos);
  EXPECT_NE(notes.find("task: multilabel, because"), std::string::npos) << notes;
}

TEST_F(Finetuning, NumbersInTheirOwnUnit) {
  const Predictor predictor = trained("numbers.csv");
  EXPECT_EQ(predictor.task(), "regress");
  EXPECT_EQ(predictor.labels(), (std::vector<std::string>{"degrees"}));
  double error = 0;
  for (const auto& [color, degrees] : {std::pair("red", 10.5), {"green", 20.5}, {"blue", 30.5}})
    for (int i = 0; i < 8; ++i) {
      const auto said = predictor.predict(folder / str("photos/", color, "/", i, ".ppm")).said();
      ASSERT_EQ(said.size(), 1u);
      EXPECT_EQ(said[0].name, "degrees");
      error += std::abs(static_cast<double>(said[0].value) - degrees) / 24;
    }
  EXPECT_LT(error, 4);  // 6.7 of always the mean
}

TEST_F(Finetuning, StopsInEveryPhase) {
  std::atomic<bool> stop{true};
  FinetuneOptions options;
  options.fit.stop = &stop;
  EXPECT_THROW(finetune(carried_weights(), folder / "photos", options), Stopped);
  stop = false;
  options.fit.on_progress = [&](const train::Progress&) { stop = true; };
  EXPECT_TRUE(finetune(carried_weights(), folder / "photos", options).result.interrupted);
}

TEST_F(Finetuning, KeepsAHeadThatFits) {
  trained("photos");
  FinetuneOptions options;
  options.recipe.epochs = 1;
  std::string heard;
  options.fit.on_note = [&](const std::string& note) { heard += note + "\n"; };
  finetune(folder / "model.safetensors", folder / "photos", options);
  EXPECT_NE(heard.find("the file's head is kept: 3 classes"), std::string::npos) << heard;
  heard.clear();
  options.keep_head = false;
  finetune(folder / "model.safetensors", folder / "photos", options);
  EXPECT_NE(heard.find("a new head: 3 classes"), std::string::npos) << heard;
}

}  // namespace
}  // namespace graft
