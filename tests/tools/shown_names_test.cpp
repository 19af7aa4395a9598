// Names out of files on the terminal, in documents and in reports: nothing that a terminal obeys,
// no byte that is no UTF-8, whatever a class folder, an image or a tensor is called.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/core/base/printable.h"
#include "graft/io/weights/weights.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

const std::vector<std::string> kClasses = {"a\nb\x1b[31mred\x1b]0;title\x07", "\xe2\x80\xaelive",
                                           "tab\tx",
                                           "\xc2\x9b"
                                           "31m",
                                           "<b>&amp;"};

void expect_harmless(const CommandResult& result, const std::string& verb) {
  EXPECT_EQ(printable(result.err, "\n"), result.err) << verb;
  EXPECT_EQ(printable(result.out, "\n\t"), result.out) << verb;
}

TEST(ShownNames, FromTrainingToPrediction) {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", run = folder / "run",
                    model = run + "/model.safetensors";
  write_photos(photos, kClasses, 5, 16);
  write_text(photos + "/" + kClasses[0] + "/broken\x1b[2J\n.jpg", "nope");
  const CommandResult trained = run_graft({"finetune", "--weights", carried_weights(), "--data",
                                           photos, "--out", run, "--epochs", "1"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  expect_harmless(trained, "finetune");
  EXPECT_NE(trained.err.find("broken\\x1b[2J\\x0a.jpg"), std::string::npos) << trained.err;
  const std::string page = read_text(run + "/report.html");
  EXPECT_EQ(printable(page, "\n"), page);
  EXPECT_NE(page.find("a\\x0ab\\x1b[31mred"), std::string::npos);

  const std::string image = photos + "/" + kClasses[1];
  const CommandResult predicted = run_graft({"predict", model, image, "--top", "5"});
  EXPECT_EQ(predicted.code, 0) << predicted.err;
  EXPECT_EQ(std::count(predicted.out.begin(), predicted.out.end(), '\n'), 5) << predicted.out;
  expect_harmless(predicted, "predict");
  const CommandResult as_json = run_graft({"predict", model, image, "--top", "5", "--json"});
  expect_harmless(as_json, "predict --json");
  const auto document = nlohmann::json::parse(as_json.out);
  std::set<std::string> labels;  // a document holds them as they are
  for (const auto& entry : document[0]["top"]) labels.insert(entry["label"]);
  EXPECT_EQ(labels, std::set<std::string>(kClasses.begin(), kClasses.end()));

  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"evaluate", model, "--data", photos, "--report", folder / "e.html"},
           {"features", model, "--data", photos, "--out", folder / "f.npz"},
           {"inspect", model},
           {"inspect", model, "--json"},
           {"inspect", folder / "no\x1b[31m\nsuch\xff"},
           {"fine\x1b[2Jtune"},
           {"inspect", "a", "--fl\x1b[2J"}}) {
    const CommandResult result = run_graft(arguments);
    EXPECT_NE(result.code, 1) << result.err;
    expect_harmless(result, arguments[0]);
  }
  const std::string evaluation = read_text(folder / "e.html");
  EXPECT_EQ(printable(evaluation, "\n"), evaluation);
}

TEST(ShownNames, OfTensors) {
  const TemporaryFolder folder;
  StateDict tensors;
  tensors.add("a\x1b[2J\nnote: all is well", Tensor::zeros({2}));
  tensors.add("\xe2\x80\xae", Tensor::zeros({2}));
  io::write_safetensors(folder / "w.safetensors", tensors, {{"k\x1b", "v\r\nnote: x"}});
  io::write_npz(folder / "w.npz", tensors);
  for (const char* name : {"w.safetensors", "w.npz"})
    for (const bool json : {false, true}) {
      std::vector<std::string> arguments = {"inspect", folder / name};
      if (json) arguments.emplace_back("--json");
      const CommandResult result = run_graft(arguments);
      EXPECT_EQ(result.code, 0) << result.err;
      expect_harmless(result, name);
      EXPECT_EQ(result.out.find("\nnote: all"), std::string::npos) << result.out;
      if (json) {
        EXPECT_EQ(nlohmann::json::parse(result.out)["tensors"][0]["name"],
                  "a\x1b[2J\nnote: all is well");
      }
    }
}

}  // namespace
}  // namespace graft
