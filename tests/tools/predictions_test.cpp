// The table of answers: names that need quotes or are there twice, answers that are no numbers, and
// those of several labels and of numbers.
#include "graft/tools/predictions.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graft/core/base/error.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/train/tasks/classification/classification.h"
#include "graft/train/tasks/multilabel/multilabel.h"
#include "graft/train/tasks/regression/regression.h"

namespace graft::tools {
namespace {

TEST(Predictions, NamesAreToldApartAndBadNumbersPredictNothing) {
  const TemporaryFolder folder;
  const train::Classification task(3, {.names = {"crane", "green, dark", "crane"}});
  const auto shown = task.presentation();
  const std::vector<float> sure = {0.25f, 0.5f, 0.25f}, none = {NAN, 0.5f, 0.5f};
  for (const char* file : {"p.csv", "p.jsonl"}) {
    PredictionsFile kept(folder / file, *shown);
    kept.add("a.jpg", {"crane (0)"}, sure);
    kept.add("b.jpg", {}, none);
    kept.add_broken("c.jpg", "it is \"truncated\"");
    kept.write();
  }
  EXPECT_EQ(read_text(folder / "p.csv"),
            "path,true,predicted,error,p_crane (0),\"p_green, dark\",p_crane (2)\n"
            "a.jpg,crane (0),\"green, dark\",,0.250000,0.500000,0.250000\n"
            "b.jpg,,,the answer is not finite,,,\n"
            "c.jpg,,,\"it is \"\"truncated\"\"\",,,\n");
  EXPECT_EQ(read_text(folder / "p.jsonl"),
            "{\"path\":\"a.jpg\",\"true\":\"crane (0)\",\"predicted\":\"green, dark\","
            "\"probabilities\":{\"crane (0)\":0.25,\"green, dark\":0.5,\"crane (2)\":0.25}}\n"
            "{\"path\":\"b.jpg\",\"error\":\"the answer is not finite\"}\n"
            "{\"path\":\"c.jpg\",\"error\":\"it is \\\"truncated\\\"\"}\n");
  EXPECT_THROW(PredictionsFile(folder / "p.txt", *shown), Error);
}

TEST(Predictions, SeveralLabelsAreAListAndNumbersHaveColumnsOfTheirOwn) {
  const TemporaryFolder folder;
  const train::Multilabel labels(2, {.names = {"warm", "plant"}, .thresholds = {0.5, 0.5}});
  const auto of_labels = labels.presentation();
  const std::vector<float> both = {0.75f, 0.875f}, neither = {0.25f, 0.125f};
  for (const char* file : {"l.csv", "l.jsonl"}) {
    PredictionsFile kept(folder / file, *of_labels);
    kept.add("a.jpg", {std::vector<std::string>{"warm"}}, both);
    kept.add("b.jpg", {}, neither);
    kept.write();
  }
  EXPECT_EQ(read_text(folder / "l.csv"),
            "path,true,predicted,error,p_warm,p_plant\n"
            "a.jpg,warm,plant|warm,,0.750000,0.875000\n"
            "b.jpg,,,,0.250000,0.125000\n");
  EXPECT_EQ(read_text(folder / "l.jsonl"),
            "{\"path\":\"a.jpg\",\"true\":[\"warm\"],\"predicted\":[\"plant\",\"warm\"],"
            "\"probabilities\":{\"warm\":0.75,\"plant\":0.875}}\n"
            "{\"path\":\"b.jpg\",\"predicted\":[],"
            "\"probabilities\":{\"warm\":0.25,\"plant\":0.125}}\n");

  const train::Regression numbers(2, {.names = {"weight", "slope"}, .scales = {{0, 1}, {0, 1}}});
  const auto of_numbers = numbers.presentation();
  for (const char* file : {"n.csv", "n.jsonl"}) {
    PredictionsFile kept(folder / file, *of_numbers);
    kept.add("a.jpg", {20.5, 1.0}, both);
    kept.add_broken("b.jpg", "it is empty");
    kept.write();
  }
  EXPECT_EQ(read_text(folder / "n.csv"),
            "path,true_weight,true_slope,predicted_weight,predicted_slope,error\n"
            "a.jpg,20.5,1,0.75,0.875,\n"
            "b.jpg,,,,,it is empty\n");
  EXPECT_EQ(read_text(folder / "n.jsonl"),
            "{\"path\":\"a.jpg\",\"true\":{\"weight\":20.5,\"slope\":1.0},"
            "\"predicted\":{\"weight\":0.75,\"slope\":0.875}}\n"
            "{\"path\":\"b.jpg\",\"error\":\"it is empty\"}\n");
}

}  // namespace
}  // namespace graft::tools
