#include "graft/api/explain.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "graft/api/trained_model.h"
#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/io/datasets/class_names.h"
#include "graft/train/grad_cam.h"
#include "graft/train/inputs/table.h"
#include "graft/train/tasks/presentation.h"

namespace graft {
namespace {

// 0 blue, 1/3 cyan to green, 2/3 yellow, 1 red.
std::array<double, 3> color_of(double share) {
  constexpr std::array<std::array<double, 3>, 5> stops = {
      {{40, 60, 200}, {30, 170, 220}, {60, 190, 75}, {250, 210, 40}, {215, 25, 28}}};
  const double at = std::clamp(share, 0.0, 1.0) * (stops.size() - 1);
  const auto left = std::min(static_cast<size_t>(at), stops.size() - 2);
  const double rest = at - static_cast<double>(left);
  std::array<double, 3> color{};
  for (size_t c = 0; c < 3; ++c) color[c] = stops[left][c] * (1 - rest) + stops[left + 1][c] * rest;
  return color;
}

// Bilinear between the middles of the map's places; beyond the outermost its value. x and y in
// places, the first one's middle at 0.5.
double value_at(const float* map, int64_t height, int64_t width, double x, double y) {
  const double u = std::clamp(x - 0.5, 0.0, static_cast<double>(width - 1)),
               v = std::clamp(y - 0.5, 0.0, static_cast<double>(height - 1));
  const auto left = static_cast<int64_t>(u), top = static_cast<int64_t>(v);
  const int64_t right = std::min(left + 1, width - 1), bottom = std::min(top + 1, height - 1);
  const double a = u - static_cast<double>(left), b = v - static_cast<double>(top);
  const auto of = [&](int64_t row, int64_t column) { return double{map[row * width + column]}; };
  return (of(top, left) * (1 - a) + of(top, right) * a) * (1 - b) +
         (of(bottom, left) * (1 - a) + of(bottom, right) * a) * b;
}

int64_t output_named(const std::string& name, const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), name);
  GRAFT_CHECK(found != names.end(), "explain: the model has no output '", name, "'; it has ",
              io::short_list(names));
  return found - names.begin();
}

// What the network answers, a row as people read it; the place of its largest number.
struct AnswerRow {
  std::vector<float> values{};
  int64_t largest = 0;
};

AnswerRow answer_row(StagedNetwork& network, const train::Presentation& shown, const Tensor& x) {
  const NoGradGuard no_grad;
  network.train(false);
  const Tensor outputs = network.forward(to_device(x, network.device()));
  GRAFT_CHECK(outputs.rank() == 2,
              "explain: is for models that give classes, labels or numbers for an image; this one "
              "gives ",
              outputs.shape());
  const Tensor read = shown.readable(outputs);
  AnswerRow row;
  row.values.assign(read.data<float>(), read.data<float>() + read.numel());
  for (const float value : row.values)
    GRAFT_CHECK(std::isfinite(value), "explain: the network's answer is not a finite number");
  row.largest = std::max_element(row.values.begin(), row.values.end()) - row.values.begin();
  return row;
}

}  // namespace

io::Image overlaid(const io::Image& photo, const Tensor& map, const io::InputGeometry& geometry,
                   int64_t input_height, int64_t input_width) {
  io::check_image(photo);
  GRAFT_CHECK(map.rank() == 2 && map.numel() > 0, "overlay: a map ", map.shape());
  const int64_t rows = map.size(0), columns = map.size(1);
  const float* values = map.data<float>();
  const double most = *std::max_element(values, values + map.numel());
  io::Image made = io::with_channels(io::with_channels(photo, 1), 3);
  made.pixels = made.pixels.clone();
  uint8_t* pixel = made.pixels.mutable_data<uint8_t>();
  const auto to_map = [](double place, int64_t input, int64_t places) {
    return place * static_cast<double>(places) / static_cast<double>(input);
  };
  for (int64_t y = 0; y < made.height; ++y) {
    const double v = geometry.y.place_of(y);
    for (int64_t x = 0; x < made.width; ++x, pixel += 3) {
      const double u = geometry.x.place_of(x);
      const bool is_seen = u >= 0 && v >= 0 && u < static_cast<double>(input_width) &&
                           v < static_cast<double>(input_height);
      if (!is_seen || !(most > 0)) continue;
      const double share = value_at(values, rows, columns, to_map(u, input_width, columns),
                                    to_map(v, input_height, rows)) /
                           most;
      const std::array<double, 3> color = color_of(share);
      for (size_t c = 0; c < 3; ++c)
        pixel[c] = static_cast<uint8_t>(std::lround(0.5 * pixel[c] + 0.5 * color[c]));
    }
  }
  return made;
}

Explanation explain(const models::Model& model, const ImageSource& image,
                    const ExplainOptions& options) {
  GRAFT_CHECK(model.network, "explain: there is no network");
  StagedNetwork& network = *model.network;
  const io::Preprocess& p = model.card.preprocess;
  GRAFT_CHECK(task_card_of(model.card).outputs > 0, "explain: the model has no head");
  const std::shared_ptr<const train::Task> task = task_of(model);
  const auto shown = task->presentation();
  const auto photos = dataset_of({&image, 1});
  Tensor x = Tensor::empty({1, p.channels, p.size, p.input_width()},
                           {.format = MemoryFormat::channels_last});
  const auto input = train::input_of(p);
  input->maker(p, {})->input(*photos, 0, nullptr, x.mutable_data<float>());
  const AnswerRow row = answer_row(network, *shown, x);
  Explanation made;
  const std::vector<std::string> names = shown->output_names();
  made.output = options.output.empty() ? row.largest : output_named(options.output, names);
  made.name = names.at(static_cast<size_t>(made.output));
  made.value = row.values.at(static_cast<size_t>(made.output));
  made.at = options.at.empty() ? train::last_map_stage(network, x) : options.at;
  const Tensor maps = train::grad_cam(network, x, {&made.output, 1}, made.at);
  made.map = maps.reshape({maps.size(1), maps.size(2)});
  const auto values = made.map.elements<float>();
  made.is_empty = std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
  const bool is_photo = input->files().is_images();
  const io::Image photo = is_photo ? photos->image(0) : input->picture(*photos, 0, p);
  const io::InputGeometry places =
      is_photo ? io::input_geometry(p, {}, photo.width, photo.height, nullptr)
               : io::InputGeometry{{photo.width, 0, 1}, {photo.height, 0, 1}, false};
  made.overlay = overlaid(photo, made.map, places, p.size, p.input_width());
  return made;
}

}  // namespace graft
