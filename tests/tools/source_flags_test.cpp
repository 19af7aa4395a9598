// What the user says of a weight file: preprocessing and class names go into the card and out
// again.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graft/models/model_file.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

class SourceFlags : public testing::Test {
 protected:
  TemporaryFolder folder;
};

TEST_F(SourceFlags, GoIntoTheCardAndTheCertificate) {
  write_text(folder / "names.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
  const CommandResult done = run_graft(
      {"convert", carried_weights(), folder / "m.safetensors", "--scale", "1/127.5", "--mean", "1",
       "--std", "0.5,1,2", "--channel-order", "bgr", "--labels", folder / "names.txt", "--json"});
  ASSERT_EQ(done.code, 0) << done.err;
  const auto found = nlohmann::json::parse(done.out).at("preprocess");
  EXPECT_EQ(found.at("known"), true);
  EXPECT_EQ(found.at("why"), "by --scale, --mean, --std, --channel-order");
  const models::ModelCard card = models::load_model(folder / "m.safetensors").card;
  EXPECT_EQ(card.preprocess.scale, 1 / 127.5);
  EXPECT_EQ(card.preprocess.mean, (std::vector<double>{1, 1, 1}));
  EXPECT_EQ(card.preprocess.deviation, (std::vector<double>{0.5, 1, 2}));
  EXPECT_TRUE(card.preprocess.bgr);
  EXPECT_EQ(card.labels.at(3), "d");
  write_photos(folder / "photos", {"red"}, 1, 32);
  const CommandResult predicted =
      run_graft({"predict", folder / "m.safetensors", folder / "photos", "--top", "10", "--json"});
  EXPECT_EQ(predicted.code, 0) << predicted.err;
  EXPECT_EQ(nlohmann::json::parse(predicted.out).at(0).at("top").size(), 10u);
}

TEST_F(SourceFlags, ThatFitNothingAreRefused) {
  write_text(folder / "names.txt", "a\nb\n");
  const auto convert = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"convert", carried_weights(), folder / "m.safetensors"});
    return run_graft(flags);
  };
  const CommandResult labels = convert({"--labels", folder / "names.txt"});
  EXPECT_EQ(labels.code, 3);
  EXPECT_NE(labels.err.find("has 2 names, the network has 10 classes"), std::string::npos)
      << labels.err;
  EXPECT_EQ(convert({"--mean", "1,2"}).code, 3);
  EXPECT_EQ(convert({"--std", "0"}).code, 3);
  EXPECT_EQ(convert({"--scale", "a"}).code, 2);
  EXPECT_EQ(convert({"--channel-order", "grb"}).code, 2);
  EXPECT_EQ(convert({"--prefix", "nowhere"}).code, 3);
}

}  // namespace
}  // namespace graft
