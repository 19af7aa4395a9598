// A whole run through the command: what it writes, that it resumes after kills to the same bits,
// and that neither threads nor loader workers change a bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "graft/core/base/sha256.h"
#include "graft/core/runtime/random.h"
#include "graft/models/model_file.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/full_size.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

using nlohmann::json;

class Run : public testing::Test {
 protected:
  void SetUp() override { write_photos(folder / "photos", {"red", "green", "blue"}, 16, 36); }

  // Everything trains, with augmentation: whatever could differ between runs, does.
  std::vector<std::string> training(const std::string& out, std::vector<std::string> more = {},
                                    int epochs = 6) const {
    std::vector<std::string> arguments = {"finetune",
                                          "--weights",
                                          carried_weights(),
                                          "--data",
                                          folder / "photos",
                                          "--out",
                                          out,
                                          "--freeze",
                                          "stem,layer1",
                                          "--augment",
                                          "light",
                                          "--epochs",
                                          std::to_string(epochs),
                                          "--batch",
                                          "8",
                                          "--checkpoint-seconds",
                                          "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  TemporaryFolder folder;
};

TEST_F(Run, WritesModelMetricsAndReport) {
  const std::string out = folder / "run";
  const CommandResult result = run_graft({"finetune", "--weights", carried_weights(), "--data",
                                          folder / "photos", "--out", out, "--epochs", "5"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("import certificate"), std::string::npos);
  EXPECT_NE(result.err.find("frozen tensors are unchanged"), std::string::npos);

  const models::Model model = models::load_model(out + "/model.safetensors");
  EXPECT_EQ(model.card.labels, (std::vector<std::string>{"blue", "green", "red"}));
  EXPECT_EQ(json::parse(model.card.lineage.recipe)["epochs"], 5);
  EXPECT_EQ(model.card.lineage.source_sha256, sha256_of_file(carried_weights()));
  const std::string card = model.card.to_json();
  EXPECT_EQ(card.find(folder.path()), std::string::npos) << "a path in the card";

  std::istringstream lines(read_text(out + "/metrics.jsonl"));
  int64_t epochs = 0;
  double best = 0;
  for (std::string line; std::getline(lines, line);) {
    const json j = json::parse(line);
    EXPECT_EQ(j["epoch"], ++epochs);
    for (const char* key :
         {"loss", "train_accuracy", "val_accuracy", "lr", "images_per_s", "seconds"})
      EXPECT_TRUE(j.contains(key)) << key;
    best = std::max(best, j["val_accuracy"].get<double>());
  }
  EXPECT_EQ(epochs, 5);
  const std::string report = read_text(out + "/report.html");
  for (const char* part : {"<svg", "green", "standardize", "import certificate", "kept epoch",
                           "validation loss", "took", "graft finetune --weights",
                           "What the network sees", "Most certain", "data:image/jpeg;base64,/9j/"})
    EXPECT_NE(report.find(part), std::string::npos) << part;

  // The file's own accuracy is that of the best epoch: the standardisation is folded into the head.
  const CommandResult evaluation =
      run_graft({"evaluate", out + "/model.safetensors", "--data", folder / "photos", "--json"});
  ASSERT_EQ(evaluation.code, 0) << evaluation.err;
  EXPECT_GE(json::parse(evaluation.out)["accuracy"].get<double>(), 0.9);
  EXPECT_GE(best, 0.9) << "three colours are easy";

  const CommandResult answer =
      run_graft({"predict", out + "/model.safetensors", folder / "photos", "--json", "--top", "2"});
  ASSERT_EQ(answer.code, 0) << answer.err;
  const json answers = json::parse(answer.out);
  ASSERT_EQ(answers.size(), 48u);
  int64_t right = 0;
  for (const json& a : answers) {
    ASSERT_EQ(a["top"].size(), 2u);
    right += a["path"].get<std::string>().find("/" + a["top"][0]["label"].get<std::string>() +
                                               "/") != std::string::npos;
  }
  EXPECT_GE(right, 43);
}

// int8: finetune calibrates on its training images; evaluate does it for any model and keeps it.
TEST_F(Run, CalibratesInt8AndSaysWhatItCosts) {
  const std::string out = folder / "run", photos = folder / "photos",
                    kept = folder / "kept.safetensors";
  const CommandResult trained = run_graft({"finetune", "--weights", carried_weights(), "--data",
                                           photos, "--out", out, "--epochs", "5", "--int8"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(trained.out.find("in int8  accuracy"), std::string::npos) << trained.out;
  EXPECT_NE(read_text(out + "/report.html").find("lost by int8"), std::string::npos);
  const std::string model = out + "/model.safetensors";
  EXPECT_FALSE(models::load_model(model).card.int8.empty());

  const CommandResult evaluation =
      run_graft({"evaluate", model, "--data", photos, "--precision", "int8", "--json"});
  ASSERT_EQ(evaluation.code, 0) << evaluation.err;
  const json measured = json::parse(evaluation.out);
  EXPECT_GE(measured["accuracy"].get<double>(), 0.85);
  EXPECT_GE(measured["fp32"]["accuracy"].get<double>(), 0.9);
  EXPECT_EQ(measured["fp32"]["classes"].size(), 3u);
  EXPECT_EQ(run_graft({"predict", model, photos, "--precision", "int8", "--json"}).code, 0);

  // Trained again, the former ranges are gone.
  const std::string again = folder / "again";
  ASSERT_EQ(
      run_graft({"finetune", "--weights", model, "--data", photos, "--out", again, "--epochs", "1"})
          .code,
      0);
  const CommandResult refused =
      run_graft({"predict", again + "/model.safetensors", photos, "--precision", "int8"});
  EXPECT_EQ(refused.code, 3);
  EXPECT_NE(refused.err.find("not calibrated"), std::string::npos) << refused.err;

  const CommandResult calibrated =
      run_graft({"evaluate", again + "/model.safetensors", "--data", photos, "--precision", "int8",
                 "--calibrate", photos, "--save", kept, "--report", folder / "page.html"});
  ASSERT_EQ(calibrated.code, 0) << calibrated.err;
  EXPECT_NE(calibrated.out.find("recall int8"), std::string::npos);
  EXPECT_NE(read_text(folder / "page.html").find("found in int8"), std::string::npos);
  EXPECT_EQ(run_graft({"predict", kept, photos, "--precision", "int8"}).code, 0);
  EXPECT_EQ(run_graft({"evaluate", kept, "--data", photos, "--calibrate", photos}).code, 3);
}

TEST_F(Run, TrainsFromRandomWeights) {
  const CommandResult result =
      run_graft({"pretrain", "--arch", "cifar_resnet20", "--data", folder / "photos", "--out",
                 folder / "run", "--epochs", "1"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(models::load_model((folder / "run") + "/model.safetensors").card.lineage.source_sha256,
            "");
}

TEST_F(Run, SummedFirstConvolutionTakesGreyImages) {
  const CommandResult result =
      run_graft({"finetune", "--weights", carried_weights(), "--data", folder / "photos", "--out",
                 folder / "run", "--epochs", "1", "--channels", "sum-conv1"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("first convolution is summed"), std::string::npos);
  EXPECT_EQ(models::load_model((folder / "run") + "/model.safetensors").card.preprocess.channels,
            1);
}

// A suite of its own, which tools/tsan_tests.txt names.
class RunThreads : public Run {};
TEST_F(RunThreads, AndWorkersDoNotChangeABit) {
  std::string expected;
  for (const char* threads : {"1", "2", "4"})
    for (const char* workers : {"0", "3"}) {
      const std::string out = folder / (std::string("run") + threads + workers);
      const CommandResult result =
          run_graft(training(out, {"--threads", threads, "--workers", workers}, 2));
      ASSERT_EQ(result.code, 0) << result.err;
      const std::string hash = sha256_of_file(out + "/model.safetensors");
      if (expected.empty()) expected = hash;
      EXPECT_EQ(hash, expected) << threads << " threads, " << workers << " workers";
    }
}

TEST_F(Run, KilledWhileFeaturesAreComputedItGoesOnWithThem) {
  if (!test::full_size()) GTEST_SKIP() << "too long under sanitizers; tools/nightly.sh runs it";
  write_photos(folder / "more", {"red", "green", "blue"}, 150, 36);
  const auto viewed = [&](const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"finetune",
                                          "--weights",
                                          carried_weights(),
                                          "--data",
                                          folder / "more",
                                          "--out",
                                          out,
                                          "--augment",
                                          "light",
                                          "--views",
                                          "3",
                                          "--epochs",
                                          "4",
                                          "--threads",
                                          "1",
                                          "--cache-ram",
                                          "64k"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  const std::string whole = folder / "whole", killed = folder / "killed";
  const auto began = std::chrono::steady_clock::now();
  ASSERT_EQ(run_graft(viewed(whole)).code, 0);
  const auto whole_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::steady_clock::now() - began)
                            .count();
  EXPECT_FALSE(std::filesystem::exists(whole + "/features.cache"));
  const auto rows_of = [&] {  // 64 features and a checksum each, behind the header
    const std::string file = killed + "/features.cache";
    return std::filesystem::exists(file)
               ? (static_cast<int64_t>(std::filesystem::file_size(file)) - 128) / (4 * 64 + 4)
               : 0;
  };
  bool met = false;
  for (int part = 1; !met && part < 50; ++part) {  // of the time that a whole run takes here
    std::filesystem::remove_all(killed);
    const CommandResult result =
        run_graft(viewed(killed),
                  {.kill_after_ms = static_cast<int>(std::max<int64_t>(1, whole_ms * part / 50))});
    met = result.code == -9 && rows_of() > 0 && !std::filesystem::exists(killed + "/metrics.jsonl");
  }
  ASSERT_TRUE(met) << "no kill met the features";
  const int64_t rows = rows_of();
  const CommandResult last = run_graft(viewed(killed, {"--resume"}));
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_NE(last.err.find(str("features.cache: ", rows, " of ")), std::string::npos) << last.err;
  EXPECT_EQ(sha256_of_file(killed + "/model.safetensors"),
            sha256_of_file(whole + "/model.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(killed + "/features.cache"));
}

TEST_F(Run, AFeaturesFileThatCannotBeWrittenIsDoneWithout) {
  const CommandResult roomy =
      run_graft({"finetune", "--weights", carried_weights(), "--data", folder / "photos", "--out",
                 folder / "roomy", "--epochs", "2"});
  ASSERT_EQ(roomy.code, 0) << roomy.err;
  const std::string features = folder / "full/features.cache";
  std::filesystem::create_directories(features);  // a folder stands in its place
  const CommandResult full =
      run_graft({"finetune", "--weights", carried_weights(), "--data", folder / "photos", "--out",
                 folder / "full", "--epochs", "2", "--resume"});
  ASSERT_EQ(full.code, 0) << full.err;
  EXPECT_NE(full.err.find("features are not kept on disk"), std::string::npos) << full.err;
  EXPECT_EQ(sha256_of_file(folder / "full/model.safetensors"),
            sha256_of_file(folder / "roomy/model.safetensors"));
}

TEST_F(Run, RamIsPlannedSaidAndKept) {
  const CommandResult planned = run_graft(training(folder / "planned", {"--ram", "2G"}, 1));
  ASSERT_EQ(planned.code, 0) << planned.err;
  EXPECT_NE(planned.err.find("memory: peak planned: "), std::string::npos) << planned.err;
  EXPECT_NE(planned.err.find(" MiB of the 2048 MiB allowed (batch 8)"), std::string::npos)
      << planned.err;
  const CommandResult refused = run_graft(training(folder / "refused", {"--ram", "20M"}, 1));
  EXPECT_EQ(refused.code, 4) << refused.err;
  EXPECT_NE(refused.err.find("memory: 20 MiB do not suffice; "), std::string::npos) << refused.err;
}

// Sanitizers make a run twenty times slower: there it is for the memory errors, not for the number
// of moments.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int wanted_kills = 4;
#else
constexpr int wanted_kills = 20;
#endif

TEST_F(Run, KilledTwentyTimesAndResumedItWritesTheSameModel) {
  const std::string whole = folder / "whole", killed = folder / "killed";
  const auto began = std::chrono::steady_clock::now();
  ASSERT_EQ(run_graft(training(whole)).code, 0);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::steady_clock::now() - began)
                        .count();

  CountedRandom random(20261124, RandomPurpose::synthetic);
  int kills = 0;
  const auto threads = [&](int attempt) {
    return std::vector<std::string>{"--resume", "--threads", std::to_string(1 << attempt % 3),
                                    "--workers", std::to_string(attempt % 2)};
  };
  for (int attempt = 0; kills < wanted_kills && attempt < 60; ++attempt) {
    // Later moments as the run goes on, since a resumed one has less left; some right at the start.
    const int delay = 1 + static_cast<int>(random.below(static_cast<uint64_t>(took)));
    const CommandResult result =
        run_graft(training(killed, threads(attempt)), {.kill_after_ms = delay});
    if (result.code == -9)
      ++kills;
    else
      ASSERT_EQ(result.code, 0) << result.err;
    if (result.code == 0 && kills < wanted_kills)
      std::filesystem::remove_all(killed);  // done too early: again from the beginning
  }
  EXPECT_EQ(kills, wanted_kills);
  // As a kill in the midst of a write leaves it; a file of the user's own stays.
  for (const char* name : {"/.graft-tmp-0123456789abcdef0123456789abcdef", "/thesis.tmp-1"})
    std::ofstream(killed + name) << "half";
  const CommandResult last = run_graft(training(killed, {"--resume"}));
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(sha256_of_file(killed + "/model.safetensors"),
            sha256_of_file(whole + "/model.safetensors"));
  const std::string metrics = read_text(killed + "/metrics.jsonl");
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 6);
  EXPECT_TRUE(std::filesystem::remove(killed + "/thesis.tmp-1"));
  for (const auto& entry : std::filesystem::directory_iterator(killed)) {
    const std::string name = entry.path().filename();
    EXPECT_TRUE(name == "model.safetensors" || name == "last.ckpt.safetensors" ||
                name == "metrics.jsonl" || name == "data.json" || name == "report.html")
        << "left behind: " << name;
  }
}

TEST_F(Run, InterruptedItLeavesWith130AndGoesOn) {
  const std::string whole = folder / "whole", stopped = folder / "stopped";
  ASSERT_EQ(run_graft(training(whole, {}, 3)).code, 0);
  CommandResult result = run_graft(training(stopped, {}, 3), {.interrupt_after_ms = 700});
  if (result.code != 0) {
    EXPECT_EQ(result.code, 130) << result.err;
    EXPECT_NE(result.err.find("--resume"), std::string::npos);
    result = run_graft(training(stopped, {"--resume"}, 3));
  }
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(sha256_of_file(stopped + "/model.safetensors"),
            sha256_of_file(whole + "/model.safetensors"));
}

TEST_F(Run, ResumeOfAnotherRecipeIsRefused) {
  ASSERT_EQ(run_graft(training(folder / "run", {}, 1)).code, 0);
  const CommandResult result = run_graft(training(folder / "run", {"--resume"}, 2));
  EXPECT_EQ(result.code, 3);
  EXPECT_NE(result.err.find("another recipe"), std::string::npos) << result.err;
}

TEST_F(Run, FeaturesStandBeforeTheClassifier) {
  const CommandResult result = run_graft(
      {"features", carried_weights(), "--data", folder / "photos", "--out", folder / "f.npz"});
  ASSERT_EQ(result.code, 0) << result.err;
  const io::WeightFile file = io::read_weights(folder / "f.npz");
  EXPECT_EQ(file.tensors.at("x").shape(), Shape({48, 64}));
  EXPECT_EQ(file.tensors.at("y").shape(), Shape({48}));
}

TEST_F(Run, ConvertedEverywhereItVerifies) {
  for (const char* extension : {".safetensors", ".npz", ".onnx"}) {
    const std::string out = (folder / "copy") + extension;
    ASSERT_EQ(run_graft({"convert", carried_weights(), out}).code, 0) << extension;
    const CommandResult result = run_graft({"verify", carried_weights(), out});
    EXPECT_EQ(result.code, 0) << extension << result.out << result.err;
    EXPECT_NE(result.out.find("the same weights, the same answers"), std::string::npos)
        << result.out;
  }
  const CommandResult other =
      run_graft({"verify", carried_weights(), GRAFT_TEST_DATA "/networks/cut18.pth", "--json"});
  EXPECT_EQ(other.code, 3);
  EXPECT_NE(other.out.find("\"same_answers\": false"), std::string::npos) << other.out;
}

TEST(Bench, ProfileAndPrecision) {
  const std::vector<std::string> bench{
      "bench",        "--model", "cifar_resnet20", "--image-size", "32", "--batch", "2",
      "--iterations", "1"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), bench.begin(), bench.end());
    return run_graft(more);
  };
  const CommandResult profile = with({"--profile", "--train"});
  EXPECT_EQ(profile.code, 0) << profile.err;
  for (const char* part :
       {"conv backward-weight", "batch_norm backward", "GFLOP/s", "outside of kernels"})
    EXPECT_NE(profile.out.find(part), std::string::npos) << profile.out;
  EXPECT_EQ(with({"--precision", "bf16"}).code, 0);
  EXPECT_EQ(with({"--precision", "bf16", "--train"}).code, 0);
}

// Where the machine has no device that could be used, a named one is a sentence and code 4, and
// auto is the CPU.
TEST(Devices, AreNamedOrRefused) {
  const auto bench = [](std::vector<std::string> more) {
    more.insert(more.begin(), {"bench", "--model", "cifar_resnet20", "--image-size", "32",
                               "--batch", "2", "--iterations", "1", "--json"});
    return run_graft(more);
  };
  const CommandResult cpu = bench({"--device", "cpu"});
  ASSERT_EQ(cpu.code, 0) << cpu.err;
  EXPECT_EQ(json::parse(cpu.out)["device"], "cpu");
  EXPECT_EQ(json::parse(cpu.out)["graph"], false);
  EXPECT_EQ(bench({"--device", "auto"}).code, 0);
  const CommandResult tuned = bench({"--device", "cpu", "--autotune"});
  EXPECT_EQ(tuned.code, 2);
  EXPECT_NE(tuned.err.find("--autotune measures cuDNN's ways of a convolution on a CUDA device; "
                           "this runs on the CPU"),
            std::string::npos)
      << tuned.err;
  for (const char* nonsense :
       {"gpu", "cuda", "cuda:", "cuda:x", "cuda:-1", "cuda:0x", "CUDA:0", ""}) {
    const CommandResult result = bench({"--device", nonsense});
    EXPECT_EQ(result.code, 2) << nonsense << ": " << result.err;
  }
  const CommandResult high = bench({"--device", "cuda:999"});
  EXPECT_EQ(high.code, 4) << high.err;
  EXPECT_NE(high.err.find("device cuda:999 cannot be used: "), std::string::npos) << high.err;
  EXPECT_EQ(std::count(high.err.begin(), high.err.end(), '\n'), 1) << high.err;
  const CommandResult int8 = bench({"--device", "cuda:0", "--precision", "int8"});
  EXPECT_EQ(int8.code, 2) << int8.err;
  const CommandResult half = bench({"--device", "cpu", "--precision", "fp16"});
  EXPECT_EQ(half.code, 2) << half.err;
  EXPECT_NE(half.err.find("fp16 is for a CUDA device"), std::string::npos) << half.err;
  for (const char* verb : {"finetune", "pretrain", "predict", "evaluate", "features", "bench"})
    for (const char* flag : {"--device", "--autotune"})
      EXPECT_NE(run_graft({verb, "--help"}).out.find(flag), std::string::npos) << verb;
}

TEST_F(Run, BenchSpeaksTheWorkersProtocol) {
  const CommandResult result = run_graft(
      {"bench", "--model", "cifar_resnet20", "--image-size", "32", "--batch", "2", "--worker"},
      {.input = "run 2\nquit\n"});
  ASSERT_EQ(result.code, 0) << result.err;
  std::istringstream lines(result.out);
  std::string ready, seconds, peak;
  std::getline(lines, ready);
  std::getline(lines, seconds);
  std::getline(lines, peak);
  EXPECT_TRUE(json::parse(ready)["ready"]);
  EXPECT_EQ(json::parse(ready)["items"], 2);
  EXPECT_EQ(json::parse(seconds)["secs"].size(), 2u);
  EXPECT_GT(json::parse(peak)["peak_rss_mib"].get<double>(), 1.0);
  const CommandResult once = run_graft({"bench", "--model", "cifar_resnet20", "--image-size", "32",
                                        "--batch", "2", "--iterations", "2", "--train", "--json"});
  ASSERT_EQ(once.code, 0) << once.err;
  for (const char* key : {"images_per_s", "ms_median", "peak_rss_mib"})
    EXPECT_TRUE(json::parse(once.out).contains(key)) << key;
}

}  // namespace
}  // namespace graft
