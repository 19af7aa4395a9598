// The C API: called from C99, from eight threads, and wrongly.
#include "graft/tests/capi/calls.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "graft/capi/graft.h"
#include "graft/core/base/text.h"
#include "graft/models/initialization.h"
#include "graft/models/model_file.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

void failed(int line, const char* condition, const char* message) {
  ADD_FAILURE() << "tests/capi/calls.c:" << line << ": " << condition << "\n  said: " << message;
}
constexpr capi_check kCheck{failed};

class CApi : public testing::Test {
 protected:
  void SetUp() override {
    write_photos(folder / "photos", {"red", "blue"}, 6, 24);
    ASSERT_EQ(graft_convert(carried_weights().c_str(), model().c_str(), nullptr), GRAFT_OK)
        << graft_last_error();
  }
  std::string model() const { return folder / "model.safetensors"; }
  std::string image(int i = 0) const { return folder / str("photos/red/", i, ".ppm"); }
  TemporaryFolder folder;
};

TEST_F(CApi, EveryFunctionFromC) {
  const std::string file = read_text(image());
  const std::string pixels = file.substr(file.size() - 24 * 24 * 3);
  capi_call_everything(&kCheck, model().c_str(), image().c_str(),
                       reinterpret_cast<const unsigned char*>(pixels.data()),
                       (folder / "copy.safetensors").c_str());
}

TEST_F(CApi, TrainsStopsAndResumesFromC) {
  capi_train(&kCheck, carried_weights().c_str(), (folder / "photos").c_str(),
             (folder / "run").c_str(), (folder / "trained.safetensors").c_str());
}

TEST_F(CApi, WrongCallsAreErrorsWithASentence) {
  capi_wrong_calls(&kCheck, model().c_str(), image().c_str(), (folder / "photos").c_str());
}

TEST_F(CApi, AnImportSaysWhatItUnderstood) {
  graft_model* m = nullptr;
  ASSERT_EQ(graft_load(carried_weights().c_str(), nullptr, &m), GRAFT_OK) << graft_last_error();
  graft_model_info info{};
  info.size = sizeof info;
  EXPECT_EQ(graft_describe(m, &info), GRAFT_OK);
  EXPECT_NE(std::string(info.certificate).find("cifar_resnet20"), std::string::npos)
      << info.certificate;
  graft_free(m);
}

TEST_F(CApi, AModelWithoutAHeadGivesFeaturesOnly) {
  graft_model* m = nullptr;
  models::ModelCard card;
  models::CifarResNetConfig config;
  config.classes = 0;
  card.architecture = config;
  const auto network = models::make_network(card.architecture);
  models::initialize(*network, 0);
  models::save_model(folder / "cut.safetensors", *network, card);
  ASSERT_EQ(graft_load((folder / "cut.safetensors").c_str(), nullptr, &m), GRAFT_OK)
      << graft_last_error();
  float value = 0;
  EXPECT_EQ(graft_predict_file(m, image().c_str(), &value, 1), GRAFT_BAD_INPUT);
  EXPECT_NE(std::string(graft_last_error()).find("no head"), std::string::npos)
      << graft_last_error();
  size_t count = 0;
  EXPECT_EQ(graft_feature_count(m, nullptr, &count), GRAFT_OK) << graft_last_error();
  EXPECT_EQ(count, 64u);
  graft_free(m);
}

// Of its own for the thread sanitizer (tools/tsan_tests.txt).
class CApiThreads : public CApi {};

TEST_F(CApiThreads, EightOnOneHandleHaveTheBitsOfOne) {
  graft_model* m = nullptr;
  ASSERT_EQ(graft_load(model().c_str(), nullptr, &m), GRAFT_OK) << graft_last_error();
  constexpr int kImages = 6;
  std::vector<std::vector<float>> one(kImages, std::vector<float>(10));
  for (int i = 0; i < kImages; ++i)
    ASSERT_EQ(graft_predict_file(m, image(i).c_str(), one[static_cast<size_t>(i)].data(), 10),
              GRAFT_OK);
  graft_free(m);
  ASSERT_EQ(graft_load(model().c_str(), nullptr, &m), GRAFT_OK);  // the first to use it compiles
  std::vector<std::string> faults(8);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < faults.size(); ++t)
    threads.emplace_back([&, t] {
      std::vector<float> mine(10), front(64);
      for (int round = 0; round < 3; ++round)
        for (int i = 0; i < kImages; ++i) {
          const int at = (i + static_cast<int>(t)) % kImages;
          const std::string path = image(at);
          if (graft_predict_file(m, path.c_str(), mine.data(), 10) != GRAFT_OK)
            faults[t] += graft_last_error();
          if (mine != one[static_cast<size_t>(at)]) faults[t] += str("image ", at, " differs; ");
          graft_image source{};
          source.size = sizeof source;
          source.path = path.c_str();
          if (graft_features(m, nullptr, &source, 1, front.data(), 64) != GRAFT_OK)
            faults[t] += graft_last_error();
          // A message is its thread's own.
          const std::string nowhere = str("/nowhere", t);
          graft_predict_file(m, nowhere.c_str(), mine.data(), 10);
          if (!std::strstr(graft_last_error(), nowhere.c_str())) faults[t] += graft_last_error();
        }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& fault : faults) EXPECT_EQ(fault, "");
  graft_free(m);
}

}  // namespace
}  // namespace graft
