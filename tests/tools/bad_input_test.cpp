// What users get wrong: each case ends with the documented exit code and one sentence that names
// the thing, and leaves nothing half-written behind.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "graft/io/weights/weights.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

std::string io_data(const std::string& name) { return GRAFT_TEST_DATA "/io/" + name; }
std::string image_data(const std::string& name) { return GRAFT_TEST_DATA "/images/" + name; }

// One line on stderr (besides notes before it), with these words.
void expect_refused(const CommandResult& result, int code, const std::vector<std::string>& words) {
  EXPECT_EQ(result.code, code) << result.err;
  const size_t at = result.err.rfind("graft: ");
  ASSERT_NE(at, std::string::npos) << result.err;
  const std::string sentence = result.err.substr(at);
  EXPECT_EQ(std::count(sentence.begin(), sentence.end(), '\n'), 1) << sentence;
  for (const std::string& word : words)
    EXPECT_NE(sentence.find(word), std::string::npos) << "'" << word << "' in: " << sentence;
}

class BadInput : public testing::Test {
 protected:
  void SetUp() override { write_photos(folder / "photos", {"bees", "ants"}, 4, 32); }

  CommandResult finetune(const std::string& weights, const std::string& data,
                         std::vector<std::string> more = {}, const CommandLimits& limits = {}) {
    std::vector<std::string> arguments = {"finetune", "--weights",    weights,    "--data", data,
                                          "--out",    folder / "run", "--epochs", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_graft(arguments, limits);
  }
  // No model, and no temporary file either.
  void expect_nothing_left() {
    if (!std::filesystem::exists(folder / "run")) return;
    for (const auto& entry : std::filesystem::directory_iterator(folder / "run"))
      ADD_FAILURE() << "left behind: " << entry.path();
  }

  TemporaryFolder folder;
};

TEST_F(BadInput, Usage) {
  expect_refused(run_graft({"finetune"}), 2, {"--weights", "required"});
  expect_refused(run_graft({"fnietune"}), 2, {"fnietune"});
  expect_refused(run_graft({"pretrain", "--arch", "vgg", "--data", "x"}), 2, {"--arch", "vgg"});
  expect_refused(run_graft({"convert", carried_weights(), folder / "out.h5"}), 2,
                 {"out.h5", ".safetensors"});
  EXPECT_EQ(run_graft({"--version"}).code, 0);
  for (const char* verb :
       {"finetune", "pretrain", "lr", "predict", "evaluate", "explain", "average", "inspect",
        "convert", "features", "bench", "compare", "doctor", "track"}) {
    const CommandResult help = run_graft({verb, "--help"});
    EXPECT_EQ(help.code, 0) << verb;
    EXPECT_NE(help.out.find("Example"), std::string::npos) << verb;
  }
}

TEST_F(BadInput, WeightsThatAreMissingTruncatedOrGarbage) {
  expect_refused(finetune(folder / "none.pth", folder / "photos"), 3, {"none.pth"});
  expect_nothing_left();
  const std::string whole = read_text(carried_weights());
  write_text(folder / "half.th", whole.substr(0, whole.size() / 2));
  expect_refused(finetune(folder / "half.th", folder / "photos"), 3, {"half.th"});
  write_text(folder / "garbage.pth", std::string(5000, 'x'));
  expect_refused(finetune(folder / "garbage.pth", folder / "photos"), 3, {"garbage.pth"});
  write_text(folder / "empty.npz", "");
  expect_refused(finetune(folder / "empty.npz", folder / "photos"), 3, {"empty.npz", "empty"});
  expect_nothing_left();
}

TEST_F(BadInput, WeightsOfWrongShapesAreListedAllAtOnce) {
  io::WeightFile file = io::read_weights(carried_weights());
  StateDict changed;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.ends_with("layer1.0.conv1.weight")) continue;
    const bool wrong = name.ends_with("layer2.0.bn1.bias");
    changed.add(name.substr(name.find("module.") + 7), wrong ? Tensor::zeros({7}) : tensor);
  }
  changed.add("layer1.0.extra.weight", Tensor::zeros({2}));
  io::write_safetensors(folder / "odd.safetensors", changed);
  expect_refused(finetune(folder / "odd.safetensors", folder / "photos"), 3,
                 {"odd.safetensors", "missing: layer1.0.conv1.weight",
                  "unexpected: layer1.0.extra.weight", "layer2.0.bn1.bias ([7], expected [32])"});
  expect_nothing_left();
}

TEST_F(BadInput, CodeInAPickleIsNotRun) {
  for (const char* name : {"evil.pth", "evil_legacy.pth", "evil.pkl"})
    expect_refused(finetune(io_data(name), folder / "photos"), 3, {name});
  expect_nothing_left();
}

TEST_F(BadInput, Data) {
  expect_refused(finetune(carried_weights(), folder / "nowhere"), 3, {"nowhere"});
  std::filesystem::create_directories(folder / "flat");
  write_text((folder / "flat") + "/a.ppm", read_text((folder / "photos") + "/ants/0.ppm"));
  expect_refused(finetune(carried_weights(), folder / "flat"), 3, {"flat"});
  std::filesystem::create_directories((folder / "one") + "/only");
  write_text((folder / "one") + "/only/a.ppm", read_text((folder / "photos") + "/ants/0.ppm"));
  expect_refused(finetune(carried_weights(), folder / "one"), 3, {"one"});
  for (const char* name : {"bad_huge_label.npz", "bad_negative_label.npz", "bad_four_channels.npz",
                           "bad_no_labels.npz"})
    expect_refused(finetune(carried_weights(), std::string(GRAFT_TEST_DATA "/datasets/") + name), 3,
                   {name});
  expect_nothing_left();
}

TEST_F(BadInput, ABrokenJpegAmongGoodOnesIsNamedAndLeftOut) {
  write_photos(folder / "many", {"bees", "ants"}, 20, 32);
  write_text((folder / "many") + "/ants/broken.jpg",
             read_text(image_data("halved.jpg")).substr(0, 300));
  const CommandResult result = finetune(carried_weights(), folder / "many");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("broken.jpg"), std::string::npos) << result.err;
  EXPECT_TRUE(std::filesystem::exists((folder / "run") + "/model.safetensors"));
}

TEST_F(BadInput, TooManyBrokenImagesStopTheRun) {
  for (const char* name : {"a", "b", "c"})
    write_text((folder / "photos") + "/ants/" + name + ".jpg", "no jpeg");
  expect_refused(finetune(carried_weights(), folder / "photos"), 3, {".jpg", "broken"});
  expect_nothing_left();
}

TEST_F(BadInput, OddImagesAreRead) {
  ASSERT_EQ(run_graft({"convert", carried_weights(), folder / "m.safetensors"}).code, 0);
  for (const char* name : {"grey.png", "rgba.png", "rgb16.png", "grey16.png", "exif_6.jpg",
                           "cmyk.jpg", "palette.png"}) {
    const CommandResult result = run_graft({"predict", folder / "m.safetensors", image_data(name)});
    EXPECT_EQ(result.code, 0) << name << ": " << result.err;
    EXPECT_NE(result.out.find("class "), std::string::npos) << result.out;
  }
  // A turned photo gets the answer of the upright one.
  const auto answer = [&](const char* name) {
    const std::string out =
        run_graft({"predict", folder / "m.safetensors", image_data(name), "--top", "3"}).out;
    return out.substr(out.find('\t'));
  };
  EXPECT_EQ(answer("exif_1.jpg").substr(0, 8), answer("exif_6.jpg").substr(0, 8));
}

TEST_F(BadInput, PredictAnswersTheGoodOnes) {
  ASSERT_EQ(run_graft({"convert", carried_weights(), folder / "m.safetensors"}).code, 0);
  write_text(folder / "bad.jpg", "no jpeg");
  const CommandResult result =
      run_graft({"predict", folder / "m.safetensors", folder / "bad.jpg", image_data("rgb.png")});
  EXPECT_EQ(result.code, 3);
  EXPECT_NE(result.err.find("bad.jpg"), std::string::npos);
  EXPECT_NE(result.out.find("rgb.png\tclass"), std::string::npos);
  EXPECT_EQ(run_graft({"predict", folder / "m.safetensors", "-"},
                      {.input = read_text(image_data("rgb.png"))})
                .code,
            0);
  expect_refused(run_graft({"predict", folder / "m.safetensors", "-"}, {.input = "nothing"}), 3,
                 {"standard input"});
}

TEST_F(BadInput, AnOutputFolderThatCannotBeWritten) {
  std::string out = "/sys/graft-run";  // nobody can write there, root neither, where it is mounted
  if (::geteuid() == 0) {
    std::error_code refused;
    if (std::filesystem::create_directory(out, refused)) {
      std::filesystem::remove(out);
      GTEST_SKIP() << "root, and /sys is an ordinary folder: no place is closed";
    }
  } else {
    std::filesystem::create_directories(folder / "locked");
    std::filesystem::permissions(
        folder / "locked", std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
    out = (folder / "locked") + "/run";
  }
  expect_refused(run_graft({"finetune", "--weights", carried_weights(), "--data", folder / "photos",
                            "--out", out}),
                 3, {out});
  expect_refused(run_graft({"convert", carried_weights(), out + ".safetensors"}), 3, {out});
}

TEST_F(BadInput, ARunFolderInUseIsNotOverwritten) {
  std::filesystem::create_directories(folder / "run");
  write_text((folder / "run") + "/thesis.txt", "precious");
  expect_refused(finetune(carried_weights(), folder / "photos"), 2, {"not empty", "--resume"});
  EXPECT_EQ(read_text((folder / "run") + "/thesis.txt"), "precious");
  EXPECT_EQ(finetune(carried_weights(), folder / "photos", {"--overwrite"}).code, 0);
  EXPECT_EQ(read_text((folder / "run") + "/thesis.txt"), "precious");
}

TEST_F(BadInput, AFullDiskLeavesNothingHalfWritten) {
  // The model is 1.1 MB: the first write past 200 kB fails as on a full disk.
  const CommandResult result =
      finetune(carried_weights(), folder / "photos", {}, {.file_bytes = 200000});
  expect_refused(result, 4, {folder / "run"});
  for (const auto& entry : std::filesystem::directory_iterator(folder / "run")) {
    const std::string name = entry.path().filename();
    EXPECT_TRUE(name == "metrics.jsonl" || name == "last.ckpt.safetensors" ||
                name == "features.cache" || name == "data.json")
        << name;
  }
  const CommandResult convert =
      run_graft({"convert", carried_weights(), folder / "m.safetensors"}, {.file_bytes = 200000});
  expect_refused(convert, 4, {"m.safetensors"});
  EXPECT_FALSE(std::filesystem::exists(folder / "m.safetensors"));
}

TEST_F(BadInput, AModelThatIsNoModel) {
  expect_refused(run_graft({"evaluate", io_data("same.npz"), "--data", folder / "photos"}), 3,
                 {"same.npz"});
  ASSERT_EQ(run_graft({"convert", carried_weights(), folder / "m.safetensors"}).code, 0);
  expect_refused(run_graft({"evaluate", folder / "m.safetensors", "--data", folder / "nowhere"}), 3,
                 {"nowhere"});
}

}  // namespace
}  // namespace graft
