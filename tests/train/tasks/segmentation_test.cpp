// The task of pixels: masks that follow the image, scores, the threshold, the card, the pictures,
// and a run with cached features.
#include "graft/train/tasks/segmentation/segmentation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "graft/io/datasets/windows.h"
#include "graft/io/input.h"
#include "graft/models/initialization.h"
#include "graft/tests/train/pattern_dataset.h"
#include "graft/tests/train/tasks/squares_case.h"
#include "graft/train/tasks/presentation.h"
#include "graft/train/tasks/table.h"

namespace graft::train {
namespace {

// Class 1 is where it is bright; image and map hold the same.
class SquaresDataset final : public SquareImages {
 public:
  SquaresDataset(int64_t size, uint64_t seed)
      : SquareImages(size, seed, {kWidth, kHeight, 8, 7, 12, 7}) {}
  std::vector<int64_t> labels(int64_t) const override { return {0, 1}; }
  io::Image image(int64_t i) const override { return painted(i, 20, 220); }
  io::Image map(int64_t i) const override { return painted(i, 0, 1); }
  io::MapFacts map_facts(int64_t i) const override {
    const io::Image own = map(i);
    int64_t bright = 0;
    for (int64_t p = 0; p < own.pixels.numel(); ++p) bright += own.pixels.data<uint8_t>()[p];
    return {kWidth, kHeight, {own.pixels.numel() - bright, bright}};
  }

  static constexpr int64_t kWidth = 20, kHeight = 14;
};

io::OpenedData squares(int64_t train = 12, int64_t val = 6) {
  return opened_squares<SquaresDataset>(train, val, io::AnswerKind::maps, {"ground", "square"});
}

// A convolution and a head that gives a map of the input's size.
class SmallMapper final : public SmallMapNetwork {
 public:
  SmallMapper() : SmallMapNetwork({3, 4, 3, 1, 1}, 4, 1) {}
};

// What an input's bright pixels are beside the mask that was placed for it.
void expect_agreement(const io::Preprocess& preprocess, const io::Augment& augment) {
  const SquaresDataset data(4, 7);
  const Segmentation task(2);
  const SampleViews seen{preprocess, augment, 5, 0, 3};
  io::InputMaker maker(preprocess, augment);
  const std::vector<int64_t> samples{0, 1, 2, 3};
  const Tensor masks = task.placed_targets(data, samples, seen).tensors.at(0);
  const int64_t width = preprocess.input_width(), pixels = preprocess.pixels();
  std::vector<float> input(static_cast<size_t>(3 * pixels));
  int64_t compared = 0, inside = 0;
  for (const int64_t i : samples) {
    auto random = seen.random_of(i);
    maker.input(data, i, random ? &*random : nullptr, input.data());
    const uint8_t* mask = masks.data<uint8_t>() + i * pixels;
    for (int64_t p = 0; p < pixels; ++p) {
      const double grey = static_cast<double>(input[static_cast<size_t>(3 * p)]);
      inside += mask[p] != io::kIgnoredPixel;
      if (grey > 0.75)
        EXPECT_EQ(mask[p], 1) << i << " at " << p % width << "," << p / width;
      else if (grey < 0.2 && grey > 0.05 && mask[p] != io::kIgnoredPixel)
        EXPECT_EQ(mask[p], 0) << i << " at " << p % width << "," << p / width;
      else
        continue;  // an edge, or the frame
      ++compared;
    }
  }
  EXPECT_GT(compared, inside / 2);
}

TEST(Segmentation, MasksFollowTheImage) {
  for (const char* fit : {"squash", "crop", "pad", "window"})
    for (const auto& [height, width] : {std::pair(16, 16), std::pair(24, 12), std::pair(40, 64)})
      for (const char* name : {"none", "light", "strong"}) {
        SCOPED_TRACE(str(fit, " ", height, "x", width, " ", name));
        io::Augment augment = io::augment_named(name);
        augment.brightness = augment.contrast = augment.saturation = 0;
        expect_agreement(squares_input(height, width, fit), augment);
      }
}

TEST(Segmentation, WindowsCoverEachPixelOnce) {
  for (const auto& [height, width] : {std::pair(8, 8), std::pair(16, 6), std::pair(14, 20)}) {
    const auto data = std::make_shared<SquaresDataset>(3, 7);
    const auto windows = io::windows_of(data, height, width);
    std::vector<int64_t> counted(3), bright(3);
    for (int64_t i = 0; i < windows->size(); ++i) {
      const io::Image map = windows->map(i), image = windows->image(i);
      ASSERT_EQ(map.width, width);
      ASSERT_EQ(image.height, height);
      for (int64_t p = 0; p < map.pixels.numel(); ++p) {
        const uint8_t value = map.pixels.data<uint8_t>()[p];
        if (value == io::kIgnoredPixel) continue;
        const auto whole = static_cast<size_t>(windows->whole(i));
        ++counted[whole];
        bright[whole] += value;
        EXPECT_EQ(image.pixels.data<uint8_t>()[p], value == 1 ? 220 : 20);
      }
    }
    EXPECT_EQ(counted, (std::vector<int64_t>(3, 14 * 20)));
    EXPECT_EQ(bright, (std::vector<int64_t>(3, 56)));
  }
  const io::WindowAxis axis = io::window_axis(512, 224);
  EXPECT_EQ(axis.begins, (std::vector<int64_t>{0, 144, 288}));
  EXPECT_EQ(axis.owns, (std::vector<int64_t>{0, 184, 328, 512}));
}

TEST(Segmentation, ImagesSeenInWindowsAreJudgedAsImages) {
  SmallMapper network;
  models::initialize(network, 3);
  const auto task = std::make_shared<Segmentation>(2);
  const auto metric = judge(network, squares().val, squares_input(8, 8, "window"), task, 5);
  const auto& e = dynamic_cast<const PixelEvaluation&>(*metric);
  EXPECT_EQ(e.pixels(), 6 * 14 * 20);
  EXPECT_EQ(e.images(), 6);
  EXPECT_GT(e.samples(), 6) << "windows";
  PixelEvaluation two(2, 0.5, PixelLoss("ce", 2, {}));
  Targets targets(Tensor::of<uint8_t>({2, 1, 2}, {1, 1, 1, 0}));
  targets.tensors.push_back(Tensor::of<int64_t>({2}, {4, 4}));
  two.add(Tensor::of<float>({2, 1, 1, 2}, {3.f, -3.f, -3.f, -3.f}), targets);
  EXPECT_DOUBLE_EQ(two.dice_per_image(), 0.5) << "of one image: right 1, missed 2";
}

TEST(Segmentation, PaddingCountsForNothing) {
  const io::Preprocess pad = squares_input(20, 20, "pad");
  const SquaresDataset data(1, 7);
  const std::vector<int64_t> samples{0};
  const Tensor masks = Segmentation(2).placed_targets(data, samples, {.preprocess = pad}).one();
  EXPECT_EQ(masks.data<uint8_t>()[0], io::kIgnoredPixel);
  EXPECT_EQ(std::count(masks.data<uint8_t>(), masks.data<uint8_t>() + 400, io::kIgnoredPixel),
            6 * 20);
}

PixelEvaluation evaluated_pixels(int64_t classes, const std::vector<float>& logits,
                                 const std::vector<uint8_t>& mask) {
  PixelEvaluation e(classes, 0.5, PixelLoss("ce", classes, {}));
  const int64_t pixels = std::ssize(mask), maps = classes == 2 ? 1 : classes;
  e.add(Tensor::of<float>({1, maps, 1, pixels}, logits), Tensor::of<uint8_t>({1, 1, pixels}, mask));
  return e;
}

TEST(PixelEvaluation, OfTwoClassesByHand) {
  PixelEvaluation e = evaluated_pixels(2, {2, 1, -1, -2, 3, 9}, {1, 0, 1, 0, 1, 255});
  EXPECT_EQ(e.pixels(), 5);
  EXPECT_DOUBLE_EQ(e.dice(), 4.0 / 6);  // right 2, missed 1, wrong 1
  EXPECT_DOUBLE_EQ(e.iou(), 0.5);
  EXPECT_DOUBLE_EQ(e.mean_iou(), (0.5 + 1.0 / 3) / 2);
  EXPECT_DOUBLE_EQ(e.pixel_accuracy(), 0.6);
  EXPECT_NEAR(e.auc(), 5.0 / 6, 1e-12);  // of 6 pairs one is the wrong way round
  EXPECT_LT(e.auc_bound(), 1e-9);
  // A second image, all right: sums go over the pixels, means over the images.
  e.add(Tensor::of<float>({1, 1, 1, 2}, {-4.f, -4.f}), Tensor::of<uint8_t>({1, 1, 2}, {0, 0}));
  EXPECT_DOUBLE_EQ(e.dice(), 4.0 / 6);
  EXPECT_DOUBLE_EQ(e.dice_per_image(), (4.0 / 6 + 1) / 2);
  EXPECT_EQ(e.samples(), 2);
  EXPECT_EQ(e.per_sample().losses.size(), 2u);
  EXPECT_TRUE(e.per_sample().scores.empty());
  EXPECT_EQ(e.scores().size(), Segmentation(2).scores().size());
}

TEST(PixelEvaluation, OfMoreClassesByHand) {
  // Said: 0, 1, 2, 2; class 2 is never there but said, class 3 neither.
  const PixelEvaluation e =
      evaluated_pixels(4, {5, 0, 0, 0, 0, 5, 0, 1, 0, 0, 5, 5, 0, 0, 0, 0}, {0, 1, 1, 255});
  EXPECT_DOUBLE_EQ(e.overlap(0).iou(), 1);
  EXPECT_DOUBLE_EQ(e.overlap(1).iou(), 0.5);
  EXPECT_DOUBLE_EQ(e.overlap(2).iou(), 0);
  EXPECT_TRUE(e.overlap(3).is_empty());
  EXPECT_DOUBLE_EQ(e.mean_iou(), 0.5) << "over the three classes that are there or were said";
  EXPECT_DOUBLE_EQ(e.dice(), (1 + 2.0 / 3 + 0) / 3);
  EXPECT_EQ(e.confusion(1, 2), 1);
  EXPECT_EQ(e.scores().size(), Segmentation(4).scores().size());
}

TEST(PixelEvaluation, OfNothingHasNumbers) {
  const PixelEvaluation none = evaluated_pixels(2, {1, 1}, {255, 255});
  EXPECT_EQ(none.pixels(), 0);
  EXPECT_EQ(none.samples(), 1);
  for (const double score : none.scores()) EXPECT_TRUE(std::isfinite(score));
  EXPECT_DOUBLE_EQ(none.auc(), 0.5);
  EXPECT_DOUBLE_EQ(none.best_threshold(), 0.5);
  const PixelEvaluation ground = evaluated_pixels(2, {-1, -1}, {0, 0});
  EXPECT_DOUBLE_EQ(ground.dice(), 1) << "nothing is there and nothing was said";
  EXPECT_THROW(evaluated_pixels(2, {1}, {2}), Error);
}

TEST(PixelEvaluation, ChoosesTheThresholdOfTheBestDice) {
  // Class 1 has logits above 1, class 0 below.
  const PixelEvaluation e = evaluated_pixels(2, {2, 1.5f, 0.8f, 0.5f, -1, 3}, {1, 1, 0, 0, 0, 1});
  EXPECT_LT(e.dice(), 1);
  const double threshold = e.best_threshold();
  EXPECT_GT(threshold, 1 / (1 + std::exp(-0.8)));
  EXPECT_LE(threshold, 1 / (1 + std::exp(-1.5)));
  EXPECT_DOUBLE_EQ(e.dice_at(threshold), 1);
  const Segmentation task(2, {.names = {"a", "b"}});
  const auto chosen = task.chosen_by(e);
  ASSERT_TRUE(chosen);
  const auto again = task_of_card(chosen->card());
  const auto metric = again->metric();
  metric->add(Tensor::of<float>({1, 1, 1, 6}, {2, 1.5f, 0.8f, 0.5f, -1, 3}),
              Tensor::of<uint8_t>({1, 1, 6}, {1, 1, 0, 0, 0, 1}));
  EXPECT_DOUBLE_EQ(metric->score(), 1);
  EXPECT_EQ(Segmentation(3).chosen_by(evaluated_pixels(3, {1, 0, 0}, {0})), nullptr);
}

TEST(Segmentation, AsksForAHeadThatStartsAtTheShares) {
  Recipe recipe;
  recipe.task = "segment";
  const auto task = make_task(recipe, squares());
  EXPECT_EQ(task->outputs(), 1);
  const HeadPlan plan = task->head();
  EXPECT_EQ(plan.decoder, "unet");
  const double share = 56.0 / 280;
  ASSERT_EQ(plan.bias.size(), 1u);
  EXPECT_NEAR(plan.bias[0], std::log(share / (1 - share)), 1e-6);
  recipe.decoder = "fcn";
  EXPECT_EQ(make_task(recipe, squares())->head().decoder, "fcn");
  EXPECT_EQ(Segmentation(3, {.shares = {0.5, 0.5, 0}}).head().bias.size(), 3u);
  recipe.task = "classify";
  EXPECT_EQ(task_for(io::AnswerKind::maps), "segment");
}

TEST(Segmentation, RefusesWhatIsNotForIt) {
  Recipe recipe;
  recipe.task = "segment";
  io::OpenedData data = squares();
  data.classes = {"ground"};
  EXPECT_THROW(make_task(recipe, data), Error);
  data = squares();
  recipe.loss = "huber";
  EXPECT_THROW(make_task(recipe, data), Error);
  recipe.loss = "dice";
  recipe.balance = "weights";
  EXPECT_THROW(make_task(recipe, data), Error);
  recipe = {};
  recipe.task = "regress";
  recipe.loss = "focal";
  EXPECT_THROW(make_task(recipe, data), Error);
  const Segmentation task(2);
  EXPECT_THROW(task.check(Tensor::of<uint8_t>({1, 1, 1}, {3}), {1, 1, 1, 1}), Error);
  EXPECT_THROW(task_of_card({.json = R"({"name":"segment"})", .outputs = 1}), Error);
  EXPECT_THROW(task_of_card({.json = R"({"name":"segment","classes":["a","b"],"threshold":2})",
                             .outputs = 1}),
               Error);
}

TEST(Segmentation, RefusesWhatMasksDoNotFollow) {
  Recipe recipe = default_recipe("backbone");
  recipe.task = "segment";
  recipe.standardize = recipe.head_prior = false;
  recipe.augment = "rand";
  SmallMapper network;
  EXPECT_EQ(refusal_of(network, squares(), squares_input(16, 16), recipe),
            "augment rand turns and shifts images, and masks and boxes do not follow: none, light "
            "and strong are for such data");
}

TEST(Segmentation, IsJudgedByTheNamesOfItsClasses) {
  io::OpenedData data = squares();
  data.classes = {"square", "sky"};
  std::string said;
  const Segmentation task(2, {.names = {"ground", "square"}});
  const auto judged = task.to_judge(data, "d", [&](const std::string& note) { said = note; });
  EXPECT_NE(said.find("does not know: sky"), std::string::npos);
  const io::Image own = data.val->map(0), map = judged->map(0);
  for (int64_t i = 0; i < own.pixels.numel(); ++i)
    EXPECT_EQ(map.pixels.data<uint8_t>()[i],
              own.pixels.data<uint8_t>()[i] == 0 ? 1 : io::kIgnoredPixel);
  data.classes = {"x", "y"};
  EXPECT_THROW(task.to_judge(data, "d", [](const std::string&) {}), Error);
}

FitResult fit_squares(SmallMapper& network, Recipe recipe, bool cached, int workers = 0) {
  recipe.cache_features = cached;
  FitOptions options;
  options.workers = workers;
  return fit(network, squares(), squares_input(16, 16, "squash"), recipe, options);
}

TEST(Segmentation, TrainsOnCachedFeaturesOfViewsAsOnImages) {
  Recipe recipe = default_recipe("backbone");
  recipe.task = "segment";
  recipe.standardize = recipe.head_prior = false;
  recipe.epochs = 20;
  recipe.batch = 4;
  recipe.lr = 0.1;
  recipe.augment = "light";
  recipe.views = 3;
  std::vector<std::string> histories;
  for (const auto& [cached, workers] :
       {std::pair(true, 0), std::pair(false, 0), std::pair(false, 2)}) {
    SmallMapper network;
    models::initialize(network, 3);
    const FitResult result = fit_squares(network, recipe, cached, workers);
    EXPECT_EQ(result.cached_stages, cached ? 1 : 0);
    const std::string history = history_text(result);
    histories.push_back(history);
    EXPECT_GT(result.best_score, 0.8) << "bright squares are found\n" << history;
    EXPECT_EQ(result.history[0].val[0].name, "dice");
    EXPECT_TRUE(std::isfinite(result.history[0].val_score("iou_square")));
  }
  EXPECT_EQ(histories[0], histories[1]);
  EXPECT_EQ(histories[1], histories[2]);
}

TEST(MapPresentation, ShowsSharesAndPicturesOfThePhotosSize) {
  const Segmentation task(2, {.names = {"ground", "square"}});
  const auto shown = task.presentation();
  const SquaresDataset data(1, 7);
  const io::Preprocess pad = squares_input(20, 20, "pad");
  // The network is as sure of the true map as can be.
  const std::vector<int64_t> samples{0};
  const Tensor mask = task.placed_targets(data, samples, {.preprocess = pad}).one();
  std::vector<float> logits;
  for (int64_t i = 0; i < 400; ++i) logits.push_back(mask.data<uint8_t>()[i] == 1 ? 20.f : -20.f);
  const Tensor answer = shown->readable(Tensor::of<float>({1, 1, 20, 20}, logits));
  const std::span row(answer.data<float>(), 400);
  EXPECT_EQ(shown->answer_text(row, 1), "ground 86.0 %\tsquare 14.0 %");
  EXPECT_EQ(shown->answer_columns().answers, (std::vector<std::string>{"ground", "square"}));
  EXPECT_NEAR(std::get<double>(shown->answer_cells(row)[1]), 0.14, 1e-9);
  EXPECT_NEAR(std::get<double>(shown->true_cells(data, 0)[1]), 0.2, 1e-9);
  const auto pictures = shown->pictures(
      {row, 20, 20, io::input_geometry(pad, {}, data.kWidth, data.kHeight, nullptr)},
      data.image(0));
  ASSERT_EQ(pictures.size(), 3u);
  EXPECT_EQ(pictures[0].what, "classes");
  EXPECT_EQ(pictures[0].palette.size(), 256u);
  const io::Image truth = data.map(0);
  EXPECT_EQ(pictures[0].image.pixels.to_doubles(), truth.pixels.to_doubles());
  EXPECT_EQ(pictures[2].image.channels, 3);
  EXPECT_EQ(pictures[2].image.width, data.kWidth);
  const auto metric = task.metric();
  metric->add(Tensor::of<float>({1, 1, 20, 20}, logits), mask);
  EXPECT_NE(shown->text(*metric).find("square  1.0000  1.0000"), std::string::npos)
      << shown->text(*metric);
  const auto j = nlohmann::json::parse(shown->json(*metric));
  EXPECT_EQ(j["dice"], 1);
  EXPECT_EQ(j["classes"][1]["name"], "square");
}

}  // namespace
}  // namespace graft::train
