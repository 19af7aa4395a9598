// Predictor: the same answers from a path, bytes and pixels, alone, in a batch, from many threads;
// features; what it refuses.
#include "graft/api/predictor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "graft/api/trained_model.h"
#include "graft/api/written_form.h"
#include "graft/core/base/error.h"
#include "graft/models/initialization.h"
#include "graft/models/onnx_export.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

class Predictors : public testing::Test {
 protected:
  void SetUp() override { write_photos(folder / "photos", {"red", "blue"}, 10, 24); }
  std::string image(int i) const { return folder / str("photos/blue/", i, ".ppm"); }
  TemporaryFolder folder;
};

std::vector<double> numbers(const Answer& answer) { return answer.values().to_doubles(); }

std::string refused(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(Predictors, ASourceIsAsGoodAsAnother) {
  const Predictor predictor(carried_weights());
  predictor.warm_up();
  const std::vector<double> by_path = numbers(predictor.predict(image(0)));
  const std::string file = read_text(image(0));
  const auto bytes = std::as_bytes(std::span(file));
  EXPECT_EQ(numbers(predictor.predict(bytes)), by_path);
  EXPECT_EQ(numbers(predictor.predict(NamedBytes(bytes, "it"))), by_path);
  const io::Image decoded = io::read_image(image(0));
  EXPECT_EQ(numbers(predictor.predict(decoded)), by_path);
  const uint8_t* rgb = decoded.pixels.data<uint8_t>();
  EXPECT_EQ(numbers(predictor.predict(Pixels{rgb, 24, 24})), by_path);
  std::vector<uint8_t> bgr(24 * 24 * 3);
  for (size_t i = 0; i < bgr.size(); ++i) bgr[i] = rgb[i - i % 3 + 2 - i % 3];
  EXPECT_EQ(numbers(predictor.predict(Pixels{bgr.data(), 24, 24, PixelOrder::bgr, 24 * 3})),
            by_path);
  EXPECT_NE(numbers(predictor.predict(Pixels{bgr.data(), 24, 24, PixelOrder::rgb, 24 * 3})),
            by_path);
}

TEST_F(Predictors, ABatchAndItsThreadsChangeNoBit) {
  const Predictor one(carried_weights(), {.threads = 1}),
      several(carried_weights(), {.threads = 3});
  std::vector<ImageSource> images;
  for (int i = 0; i < 20; ++i) images.push_back(image(i % 10));
  images.insert(images.begin() + 7, ImageSource("/nowhere.png"));
  const std::vector<Answer> answers = several.predict(images);
  ASSERT_EQ(answers.size(), 21u);
  for (size_t i = 0; i < answers.size(); ++i) {
    if (i == 7) {
      EXPECT_TRUE(has(answers[i].error(), "/nowhere.png")) << answers[i].error();
      EXPECT_TRUE(has(refused([&] { answers[i].said(); }), "/nowhere.png"));
    } else {
      EXPECT_EQ(answers[i].error(), "");
      EXPECT_TRUE(answers[i].is_finite());
      EXPECT_EQ(numbers(answers[i]), numbers(one.predict(images[i])));
    }
  }
  EXPECT_TRUE(one.predict(std::span<const ImageSource>()).empty());
  EXPECT_TRUE(has(refused([&] { one.predict("/nowhere.png"); }), "/nowhere.png"));
}

TEST_F(Predictors, SaysWhatTheCommandSays) {
  const std::string model = folder / "model.safetensors";
  write_by_extension(model, models::import_weights(carried_weights()).model);
  const Predictor predictor(model);
  EXPECT_EQ(predictor.task(), "classify");
  EXPECT_EQ(predictor.outputs(), 10);
  EXPECT_EQ(predictor.labels().size(), 10u);
  EXPECT_TRUE(predictor.thresholds().empty());
  const Answer answer = predictor.predict(image(3));
  EXPECT_EQ(run_graft({"predict", model, image(3), "--top", "3"}).out,
            image(3) + "\t" + answer.text(3) + "\n");
  const std::vector<train::NamedValue> said = answer.said(3);
  ASSERT_EQ(said.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(said[i].name, predictor.labels().at(static_cast<size_t>(said[i].index)));
    EXPECT_EQ(static_cast<double>(said[i].value),
              numbers(answer).at(static_cast<size_t>(said[i].index)));
  }
  const std::vector<double> all = numbers(answer);
  EXPECT_EQ(static_cast<double>(said[0].value), *std::max_element(all.begin(), all.end()));
}

TEST_F(Predictors, FeaturesOfAStageAndBeforeTheHead) {
  const Predictor predictor(carried_weights());
  EXPECT_EQ(predictor.feature_shape(), (Shape{64}));
  EXPECT_EQ(predictor.feature_shape("layer2"), (Shape{32, 16, 16}));
  const std::vector<ImageSource> images = {image(0), image(1), image(2)};
  const Tensor all = predictor.features(images, "layer3");
  ASSERT_EQ(all.shape(), (Shape{3, 64, 8, 8}));
  EXPECT_EQ(all.narrow_batch(1, 1).to_doubles(),
            predictor.features(images[1], "layer3").to_doubles());
  const std::vector<double> pooled = predictor.features(images[1]).to_doubles();
  const std::vector<double> map = predictor.features(images[1], "layer3").to_doubles();
  double mean = 0;
  for (size_t i = 0; i < 64; ++i) mean += map[5 * 64 + i] / 64;
  EXPECT_NEAR(pooled.at(5), mean, 1e-5);
  EXPECT_TRUE(has(refused([&] { predictor.features(images[0], "layer7"); }), "layer3"));
  EXPECT_TRUE(has(refused([&] { predictor.features("/nowhere.png"); }), "/nowhere.png"));
}

TEST_F(Predictors, FeaturesOfAGraphStandBeforeItsClassifier) {
  const Predictor native(carried_weights());
  io::onnx::Model without_card = models::to_onnx(*native.model().network, native.card());
  without_card.metadata.clear();
  io::onnx::write_model(folder / "graph.onnx", without_card);
  models::Imported imported = load_any(folder / "graph.onnx");
  ASSERT_TRUE(std::holds_alternative<models::GraphConfig>(imported.model.card.architecture));
  imported.model.card.preprocess = native.preprocess();
  Predictor predictor(std::move(imported));
  Predictor moved = std::move(predictor);
  ASSERT_EQ(moved.feature_shape(), (Shape{64}));
  const std::vector<double> a = native.features(image(0)).to_doubles(),
                            b = moved.features(image(0)).to_doubles();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4);
}

// Of its own for the thread sanitizer (tools/tsan_tests.txt).
class PredictorThreads : public Predictors {};

TEST_F(PredictorThreads, EightHaveTheBitsOfOne) {
  const Predictor shared(carried_weights());
  std::vector<std::vector<double>> one;
  {
    const Predictor own(carried_weights());
    for (int i = 0; i < 8; ++i) one.push_back(numbers(own.predict(image(i))));
  }
  std::vector<std::string> faults(8);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < faults.size(); ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 2; ++round)
        for (size_t i = 0; i < 8; ++i) {
          const size_t at = (i + t) % 8;
          if (numbers(shared.predict(image(static_cast<int>(at)))) != one[at])
            faults[t] += str("image ", at, " differs; ");
          shared.features(image(0), t % 2 ? "layer1" : "");
        }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& fault : faults) EXPECT_EQ(fault, "");
}

TEST_F(Predictors, RefusesWhatCannotBe) {
  const auto with = [](PredictorOptions options) {
    return refused([&] { Predictor(carried_weights(), options); });
  };
  EXPECT_TRUE(has(with({.precision = "fp64"}), "'fp64' is none of"));
  EXPECT_TRUE(has(with({.precision = "fp16"}), "CUDA"));
  EXPECT_TRUE(has(with({.precision = "int8"}), "not calibrated"));
  EXPECT_TRUE(has(with({.threads = -1}), "-1 threads"));
  EXPECT_TRUE(has(refused([&] { Predictor("/nowhere.pth"); }), "/nowhere.pth"));
  const Predictor predictor(carried_weights());
  EXPECT_TRUE(has(refused([&] { predictor.warm_up(0); }), "batch of 0"));
  EXPECT_TRUE(has(refused([&] { predictor.predict(Pixels{}); }), "null"));
  models::Imported cut = models::import_weights(carried_weights());
  models::CifarResNetConfig config;
  config.classes = 0;
  cut.model.card.architecture = config;
  cut.model.network = models::make_network(config);
  models::initialize(*cut.model.network, 0);
  const Predictor headless(cut);
  EXPECT_EQ(headless.task(), "");
  EXPECT_TRUE(has(refused([&] { headless.predict(image(0)); }), "head"));
  EXPECT_EQ(headless.feature_shape(), (Shape{64}));
}

}  // namespace
}  // namespace graft
