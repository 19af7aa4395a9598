// The task of boxes: places and what they find, loss, scores, the confidence, the card, what is
// shown, and a run with cached features.
#include "graft/train/tasks/detection/detection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "graft/core/autograd/backward.h"
#include "graft/core/autograd/record.h"
#include "graft/models/initialization.h"
#include "graft/tests/train/tasks/box_loss_goldens.h"
#include "graft/tests/train/tasks/squares_case.h"
#include "graft/train/tasks/detection/box_maps.h"
#include "graft/train/tasks/presentation.h"
#include "graft/train/tasks/table.h"

namespace graft::train {
namespace {

// None in every fifth.
class SquareObjects final : public SquareImages {
 public:
  SquareObjects(int64_t size, uint64_t seed)
      : SquareImages(size, seed, {kSide, kSide, kSquare, kSquare, kPlaces, kPlaces}) {}
  std::vector<int64_t> labels(int64_t i) const override {
    return i % 5 == 4 ? std::vector<int64_t>() : std::vector<int64_t>{0};
  }
  io::BoxedImage boxes(int64_t i) const override {
    io::BoxedImage image{kSide, kSide, {}};
    if (i % 5 == 4) return image;
    const auto [left, top] = corner(i);
    image.boxes.push_back(
        {.box = {static_cast<double>(left), static_cast<double>(top),
                 static_cast<double>(left + kSquare), static_cast<double>(top + kSquare)}});
    return image;
  }
  io::Image image(int64_t i) const override { return painted(i, 20, i % 5 == 4 ? 20 : 220); }

  static constexpr int64_t kSide = 32, kSquare = 14, kPlaces = kSide - kSquare + 1;
};

io::OpenedData square_objects() {
  return opened_squares<SquareObjects>(20, 10, io::AnswerKind::boxes, {"square"});
}

// Outputs that say what the places are to find.
std::vector<float> perfect_maps(std::span<const float> places, int64_t classes, int64_t plane) {
  std::vector<float> maps(static_cast<size_t>((classes + kBoxMaps) * plane), -9.0f);
  const auto at = [&](int64_t map, int64_t i) -> float& {
    return maps[static_cast<size_t>(map * plane + i)];
  };
  for (int64_t i = 0; i < plane; ++i) {
    const auto label = static_cast<int64_t>(places[static_cast<size_t>(i)]);
    if (label < 0) continue;
    at(label, i) = 9;
    for (int64_t k = 0; k < 4; ++k)
      at(classes + k, i) = std::log(places[static_cast<size_t>((k + 1) * plane + i)]);
    at(classes + 4, i) = 9;
  }
  return maps;
}

TEST(Places, FindTheSmallestBoxAroundThem) {
  const std::vector<io::LabelledBox> boxes{{.box = {0, 0, 32, 24}, .label = 1},
                                           {.box = {14, 6, 24, 18}, .label = 0},
                                           {.box = {0, 0, 8, 8}, .label = 2, .crowd = true}};
  std::vector<float> places(5 * 12);
  assign_places(boxes, 3, 4, places.data());
  const std::vector<float> labels(places.begin(), places.begin() + 12);
  EXPECT_EQ(labels, (std::vector<float>{-1, 1, 1, -1, -1, 1, 0, -1, -1, 1, 1, -1}));
  EXPECT_FLOAT_EQ(places[12 + 6], (20 - 14) / 8.0f);
  EXPECT_FLOAT_EQ(places[24 + 6], (12 - 6) / 8.0f);
  EXPECT_FLOAT_EQ(places[36 + 6], (24 - 20) / 8.0f);
  EXPECT_FLOAT_EQ(places[48 + 6], (18 - 12) / 8.0f);
  const std::vector<FoundBox> found = found_boxes(perfect_maps(places, 3, 12), 3, 3, 4);
  ASSERT_EQ(found.size(), 2u) << "each once";
  for (const FoundBox& own : found) {
    EXPECT_GT(own.score, 0.99);
    const io::Box& meant = boxes[own.label == 1 ? 0 : 1].box;
    EXPECT_NEAR(own.box.left, meant.left, 1e-4);
    EXPECT_NEAR(own.box.bottom, meant.bottom, 1e-4);
  }
  std::vector<float> broken(8 * 12, std::nanf(""));
  EXPECT_TRUE(found_boxes(broken, 3, 3, 4).empty());
}

TEST(BoxLoss, IsPyTorchs) {
  namespace g = goldens;
  const BoxLoss loss(g::kMapClasses);
  for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
    Tensor outputs =
        Tensor::of<float>({g::kMapImages, g::kMapClasses + 5, g::kMapRows, g::kMapColumns},
                          g::kBoxOutputs)
            .to(format);
    const Tensor places =
        Tensor::of<float>({g::kMapImages, 5, g::kMapRows, g::kMapColumns}, g::kBoxPlaces);
    set_requires_grad(outputs, true);
    const Tensor mean = loss.mean(outputs, places);
    EXPECT_NEAR(mean.data<float>()[0], g::kBoxLoss, 1e-5);
    backward(mean);
    const std::vector<double> gradient = grad_of(outputs).to(MemoryFormat::contiguous).to_doubles();
    ASSERT_EQ(gradient.size(), g::kBoxGradient.size());
    for (size_t i = 0; i < gradient.size(); ++i)
      EXPECT_NEAR(gradient[i], static_cast<double>(g::kBoxGradient[i]), 1e-5) << i;
  }
}

TEST(Detection, MicroBatchesAddUp) {
  namespace g = goldens;
  const Detection task(g::kMapClasses);
  const Tensor outputs = Tensor::of<float>(
      {g::kMapImages, g::kMapClasses + 5, g::kMapRows, g::kMapColumns}, g::kBoxOutputs);
  Targets targets(
      Tensor::of<float>({g::kMapImages, 5, g::kMapRows, g::kMapColumns}, g::kBoxPlaces));
  targets.tensors.push_back(Tensor::zeros({g::kMapImages, 1, kObjectNumbers}));
  double sum = 0;
  for (int64_t n = 0; n < g::kMapImages; ++n) {
    const Targets one = targets.narrow(n, 1);
    const std::vector<float> own(
        g::kBoxOutputs.begin() + n * outputs.numel() / g::kMapImages,
        g::kBoxOutputs.begin() + (n + 1) * outputs.numel() / g::kMapImages);
    const Tensor part =
        Tensor::of<float>({1, g::kMapClasses + 5, g::kMapRows, g::kMapColumns}, own);
    sum += static_cast<double>(task.loss(part, one).data<float>()[0]) * task.weight(one);
  }
  EXPECT_NEAR(sum / task.weight(targets), g::kBoxLoss, 1e-5);
}

TEST(Detection, BoxesFollowTheImage) {
  const SquareObjects data(10, 3);
  const Detection task(1);
  std::vector<int64_t> samples(10);
  std::iota(samples.begin(), samples.end(), 0);
  for (const char* fit : {"squash", "pad"}) {
    const SampleViews seen{.preprocess = squares_input(48, 64, fit)};
    const Targets targets = task.placed_targets(data, samples, seen);
    const Tensor &places = targets.tensors[0], &objects = targets.tensors[1];
    EXPECT_EQ(places.shape(), Shape({10, 5, 6, 8}));
    task.check(targets, {10, 6, 6, 8});
    BoxEvaluation e(1, 0.4);
    std::vector<float> outputs;
    for (int64_t n = 0; n < 10; ++n) {
      const std::vector<float> own =
          perfect_maps({places.data<float>() + n * 5 * 48, 5 * 48}, 1, 48);
      outputs.insert(outputs.end(), own.begin(), own.end());
    }
    e.add(Tensor::of<float>({10, 6, 6, 8}, outputs), targets);
    EXPECT_DOUBLE_EQ(e.score(), 1) << fit;
    EXPECT_DOUBLE_EQ(e.summary().ap, 1);
    EXPECT_DOUBLE_EQ(e.count_error(), 0);
    EXPECT_EQ(e.objects(0), 8) << "images without objects are images too";
    EXPECT_EQ(e.scores().size(), task.scores().size());
    // Back in the image's own pixels.
    const auto shown = task.presentation();
    Tensor row = shown->readable(Tensor::of<float>(
        {1, 6, 6, 8}, std::vector<float>(outputs.begin(), outputs.begin() + 6 * 48)));
    shown->place({row.mutable_data<float>(), 600}, seen.geometry(0, 32, 32));
    EXPECT_NEAR(row.data<float>()[0], data.boxes(0).boxes[0].box.left, 1e-3) << fit;
    EXPECT_NEAR(row.data<float>()[3], data.boxes(0).boxes[0].box.bottom, 1e-3) << fit;
    EXPECT_EQ(objects_in({objects.data<float>() + 4 * kObjectNumbers, 7}).size(), 0u);
  }
  EXPECT_THROW(task.placed_targets(data, samples, {.preprocess = squares_input(20, 64)}), Error);
  EXPECT_THROW(task.placed_targets(data, samples, {.preprocess = squares_input(32, 32, "window")}),
               Error);
}

TEST(Detection, WhatIsHardlySeenIsNotLookedFor) {
  const SquareObjects data(1, 3);
  const std::vector<int64_t> samples{0};
  io::Preprocess p = squares_input(8, 8);
  p.resize_to = 32;  // the middle quarter of each side
  const Targets targets = Detection(1).placed_targets(data, samples, {.preprocess = p});
  for (const io::LabelledBox& own :
       objects_in({targets.tensors[1].data<float>(), static_cast<size_t>(kObjectNumbers)}))
    EXPECT_TRUE(own.difficult || own.box.area() >= 0.25 * 14 * 14);
}

TEST(Detection, CardAndConfidence) {
  const Detection task(2, {.names = {"a", "b"}});
  BoxEvaluation e(2, 0.4);
  std::vector<float> places(5 * 12);
  assign_places(std::vector<io::LabelledBox>{{.box = {8, 4, 24, 20}, .label = 1}}, 3, 4,
                places.data());
  Targets targets(Tensor::of<float>({1, 5, 3, 4}, places));
  targets.tensors.push_back(Tensor::of<float>({1, 1, 7}, {8, 4, 24, 20, 1, 0, 0}));
  std::vector<float> maps = perfect_maps(places, 2, 12);
  for (float& value : maps)
    if (value == 9) value = 0;  // so sure of nothing
  e.add(Tensor::of<float>({1, 7, 3, 4}, maps), targets);
  EXPECT_EQ(e.summary().voc50_of_class[0], -1);
  EXPECT_DOUBLE_EQ(e.score(), 1);
  const auto chosen = task.chosen_by(e);
  ASSERT_TRUE(chosen);
  const auto card = chosen->card();
  EXPECT_EQ(card.outputs, 7);
  EXPECT_EQ(card.names.size(), 7u);
  EXPECT_NEAR(nlohmann::json::parse(card.json)["confidence"].get<double>(), 0.5, 1e-6);
  const auto again = task_of_card(card);
  EXPECT_EQ(again->card().json, card.json);
  EXPECT_TRUE(again->take_head_of(card));
  const auto shown = again->presentation();
  const Tensor row = shown->readable(Tensor::of<float>({1, 7, 3, 4}, maps));
  const std::span values(row.data<float>(), 600);
  EXPECT_EQ(shown->answer_text(values, 1), "b 0.5000 8 4 24 20");
  const auto j = nlohmann::json::parse(shown->answer_json(values, 1));
  EXPECT_EQ(j["objects"].size(), 1u);
  EXPECT_EQ(j["counts"]["b"], 1);
  EXPECT_EQ(j["counts"]["a"], 0);
  const std::string page = shown->html(e, nullptr, "");
  EXPECT_NE(page.find("<polyline"), std::string::npos);
  EXPECT_EQ(page.find("<polyline"), page.rfind("<polyline")) << "of the class that is there";
  const auto judged = nlohmann::json::parse(shown->json(e));
  EXPECT_EQ(judged["classes"][1]["precision_at_recall"].size(), 101u);
  EXPECT_FALSE(judged["classes"][0].contains("precision_at_recall"));
  EXPECT_NE(shown->text(e).find("chosen on the validation part"), std::string::npos);
  const io::Image photo{32, 24, 1, Tensor::zeros({24, 32, 1}, {.dtype = DType::u8})};
  const auto pictures = shown->pictures({values, 24, 32, {}}, photo);
  ASSERT_EQ(pictures.size(), 1u);
  const uint8_t* pixels = pictures[0].image.pixels.data<uint8_t>();
  EXPECT_NE(pixels[(4 * 32 + 8) * 3 + 1], 0) << "its corner";
  EXPECT_EQ(pixels[(12 * 32 + 16) * 3 + 1], 0) << "its middle";
  for (const char* broken :
       {R"({"name":"detect"})", R"({"name":"detect","classes":["a"],"stride":8})",
        R"({"name":"detect","classes":["a","b"],"stride":16})",
        R"({"name":"detect","classes":["a","b"],"stride":8,"confidence":3})"})
    EXPECT_THROW(task_of_card({.json = broken, .outputs = 7}), Error) << broken;
}

TEST(Detection, RefusesWhatIsNotForIt) {
  Recipe recipe;
  recipe.task = "detect";
  EXPECT_EQ(make_task(recipe, square_objects())->head().decoder, "fcos");
  EXPECT_EQ(task_for(io::AnswerKind::boxes), "detect");
  for (const auto change :
       {+[](Recipe& r) { r.loss = "focal"; }, +[](Recipe& r) { r.decoder = "unet"; },
        +[](Recipe& r) { r.balance = "weights"; }, +[](Recipe& r) { r.label_smoothing = 0.1; }}) {
    Recipe other = recipe;
    change(other);
    EXPECT_THROW(make_task(other, square_objects()), Error);
  }
  io::OpenedData data = square_objects();
  data.answers = io::AnswerKind::maps;
  EXPECT_THROW(make_task(recipe, data), Error);
}

TEST(Detection, RefusesWhatBoxesDoNotFollow) {
  Recipe recipe = default_recipe("backbone");
  recipe.task = "detect";
  recipe.standardize = recipe.head_prior = false;
  recipe.augment = "trivial";
  SmallMapNetwork network({3, 8, 8, 8, 0}, 8, 6);
  EXPECT_NE(refusal_of(network, square_objects(), squares_input(32, 32), recipe)
                .find("augment trivial turns and shifts images"),
            std::string::npos);
}

TEST(Detection, IsJudgedByTheNamesOfItsClasses) {
  io::OpenedData data = square_objects();
  data.classes = {"moon"};
  const Detection task(2, {.names = {"disk", "square"}});
  EXPECT_THROW(task.to_judge(data, "d", [](const std::string&) {}), Error);
  data.classes = {"square"};
  const auto judged = task.to_judge(data, "d", [](const std::string&) {});
  EXPECT_EQ(judged->boxes(0).boxes.at(0).label, 1);
}

// A convolution down to stride 8, and a head that gives the task's maps there.
class SmallFinder final : public SmallMapNetwork {
 public:
  SmallFinder() : SmallMapNetwork({3, 8, 8, 8, 0}, 8, 6) {}
};

// The first numbers of each epoch, of a run on cached features or not.
std::string history_of_run(bool cached, int workers) {
  Recipe recipe = default_recipe("backbone");
  recipe.task = "detect";
  recipe.standardize = recipe.head_prior = false;
  recipe.epochs = 6;
  recipe.batch = 5;
  recipe.lr = 0.02;
  recipe.augment = "light";
  recipe.views = 2;
  recipe.cache_features = cached;
  SmallFinder network;
  models::initialize(network, 3);
  FitOptions options;
  options.workers = workers;
  const FitResult result = fit(network, square_objects(), squares_input(32, 32), recipe, options);
  EXPECT_EQ(result.cached_stages, cached ? 1 : 0);
  EXPECT_LT(result.history.back().loss, result.history.front().loss);
  EXPECT_EQ(result.history[0].val[0].name, "map50");
  EXPECT_TRUE(std::isfinite(result.history[0].val_score("ap50_square")));
  return history_text(result);
}

TEST(Detection, TrainsOnCachedFeaturesOfViewsAsOnImages) {
  const std::string cached = history_of_run(true, 0);
  EXPECT_EQ(cached, history_of_run(false, 0));
  EXPECT_EQ(cached, history_of_run(false, 2));
}

}  // namespace
}  // namespace graft::train
