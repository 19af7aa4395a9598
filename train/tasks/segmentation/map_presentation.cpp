#include "graft/train/tasks/segmentation/map_presentation.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "graft/core/autograd/record.h"
#include "graft/core/base/printable.h"
#include "graft/core/base/text.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/functional.h"
#include "graft/train/tasks/segmentation/pixel_evaluation.h"
#include "graft/train/tasks/shown.h"

namespace graft::train {
namespace {

const PixelEvaluation& pixels_of(const Metric& metric) {
  return dynamic_cast<const PixelEvaluation&>(metric);
}

std::string cell(std::string text, size_t width, bool right) {
  if (text.size() < width) text.insert(right ? 0 : text.size(), width - text.size(), ' ');
  return text;
}

// Pascal VOC's colors: the bits of the number, spread over red, green and blue.
uint32_t color_of_class(int64_t c) {
  uint32_t r = 0, g = 0, b = 0;
  for (int bit = 7; c > 0; c >>= 3, --bit) {
    r |= static_cast<uint32_t>(c & 1) << bit;
    g |= static_cast<uint32_t>(c >> 1 & 1) << bit;
    b |= static_cast<uint32_t>(c >> 2 & 1) << bit;
  }
  return r << 16 | g << 8 | b;
}

// Between the four pixels of a map around a place given in pixels from the corner; -1 outside.
double value_at(const float* map, int64_t width, int64_t height, double x, double y) {
  if (x < 0 || y < 0 || x > static_cast<double>(width) || y > static_cast<double>(height))
    return -1;
  const auto corner = [](double at, int64_t extent, int64_t& low, int64_t& high) {
    const double place = std::clamp(at - 0.5, 0.0, static_cast<double>(extent - 1));
    low = static_cast<int64_t>(place);
    high = std::min(low + 1, extent - 1);
    return place - static_cast<double>(low);
  };
  int64_t left = 0, right = 0, top = 0, bottom = 0;
  const double dx = corner(x, width, left, right), dy = corner(y, height, top, bottom);
  const auto at = [&](int64_t column, int64_t row) {
    return static_cast<double>(map[row * width + column]);
  };
  return (at(left, top) * (1 - dx) + at(right, top) * dx) * (1 - dy) +
         (at(left, bottom) * (1 - dx) + at(right, bottom) * dx) * dy;
}

io::Image blank(int64_t width, int64_t height, int64_t channels) {
  return {width, height, channels, Tensor::zeros({height, width, channels}, {.dtype = DType::u8})};
}

}  // namespace

MapPresentation::MapPresentation(const Task& task, std::vector<std::string> names, double threshold,
                                 bool threshold_is_chosen)
    : Presentation(task),
      names_(std::move(names)),
      different_(told_apart(names_)),
      threshold_(threshold),
      threshold_is_chosen_(threshold_is_chosen) {}

std::string MapPresentation::text(const Metric& metric) const {
  const PixelEvaluation& e = pixels_of(metric);
  size_t width = 5;
  for (const std::string& name : names_) width = std::max(width, printable(name).size());
  std::string out =
      str(thousands(e.images()), " images, ", thousands(e.pixels()), " pixels that count\n\n",
          cell("class", width, false), "     IoU    Dice   share\n");
  for (int64_t c = 0; c < e.classes(); ++c) {
    const Overlap o = e.overlap(c);
    const auto there = static_cast<double>(o.right + o.missed);
    const double all = std::max(static_cast<double>(e.pixels()), 1.0);
    out += str(cell(printable(names_[static_cast<size_t>(c)]), width, false), "  ",
               o.is_empty() ? std::string("     -       -")
                            : str(fixed(o.iou(), 4), "  ", fixed(o.dice(), 4)),
               cell(percent(there / all), 8, true), "\n");
  }
  out += str("\nover all pixels   Dice ", fixed(e.dice(), 4), "  mIoU ", fixed(e.mean_iou(), 4),
             "  pixel accuracy ", fixed(e.pixel_accuracy(), 4), "\nmean of images    Dice ",
             fixed(e.dice_per_image(), 4), "  mIoU ", fixed(e.mean_iou_per_image(), 4), "\n");
  if (e.classes() == 2)
    out += str("of ", printable(names_[1]), "           IoU ", fixed(e.iou(), 4), "  AUC ",
               fixed(e.auc(), 4), ", said from a probability of ", fixed(threshold_, 3), " on (",
               threshold_is_chosen_ ? "chosen on the validation part" : "not chosen", ")\n");
  if (std::isfinite(e.loss())) out += str("loss ", fixed(e.loss(), 4), "\n");
  return out;
}

std::string MapPresentation::json(const Metric& metric) const {
  const PixelEvaluation& e = pixels_of(metric);
  nlohmann::ordered_json j = nlohmann::ordered_json::parse(Presentation::json(metric));
  j["images"] = e.images();
  j["pixels"] = e.pixels();
  if (e.classes() == 2) {
    j["threshold"] = threshold_;
    j["auc_bound"] = e.auc_bound();
  }
  j["classes"] = nlohmann::ordered_json::array();
  for (int64_t c = 0; c < e.classes(); ++c) {
    const Overlap o = e.overlap(c);
    nlohmann::ordered_json row = {{"name", names_[static_cast<size_t>(c)]},
                                  {"iou", o.iou()},
                                  {"dice", o.dice()},
                                  {"pixels", o.right + o.missed}};
    j["classes"].push_back(std::move(row));
  }
  return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string MapPresentation::html(const Metric& metric, const Metric* changed,
                                  const std::string& name) const {
  const PixelEvaluation& e = pixels_of(metric);
  std::string table =
      str("\n<h2>Per class</h2>\n<table><tr><th>class</th><th>IoU</th><th>Dice</th><th>pixels</th>",
          changed ? str("<th>IoU in ", escape(name), "</th>") : std::string(), "</tr>\n");
  for (int64_t c = 0; c < e.classes(); ++c) {
    const Overlap o = e.overlap(c);
    table +=
        str("<tr><th>", escape(names_[static_cast<size_t>(c)]), "</th><td>", fixed(o.iou(), 4),
            "</td><td>", fixed(o.dice(), 4), "</td><td>", thousands(o.right + o.missed), "</td>");
    if (changed) table += str("<td>", fixed(pixels_of(*changed).overlap(c).iou(), 4), "</td>");
    table += "</tr>\n";
  }
  table += "</table>";
  if (e.classes() == 2)
    table +=
        str("\n<p>", escape(names_[1]), " is said from a probability of ", fixed(threshold_, 3),
            " on", threshold_is_chosen_ ? ", chosen on the validation part" : "", ".</p>");
  return table;
}

Tensor MapPresentation::readable(const Tensor& outputs) const {
  const NoGradGuard no_grad;
  const Tensor logits = to_device(outputs, {}).to(MemoryFormat::contiguous);
  return names_.size() == 2 ? functional::sigmoid(logits) : functional::softmax(logits, 1);
}

std::vector<double> MapPresentation::shares(std::span<const float> row) const {
  const size_t maps = names_.size() == 2 ? 1 : names_.size(), pixels = row.size() / maps;
  std::vector<double> shares(names_.size());
  for (size_t i = 0; i < pixels; ++i) {
    size_t said = maps == 1 && static_cast<double>(row[i]) >= threshold_;
    for (size_t c = 1; c < maps; ++c)
      if (row[c * pixels + i] > row[said * pixels + i]) said = c;
    shares[said] += 1.0 / static_cast<double>(pixels);
  }
  return shares;
}

std::string MapPresentation::answer_text(std::span<const float> row, int64_t) const {
  const std::vector<double> of_class = shares(row);
  std::vector<size_t> order(of_class.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return of_class[a] > of_class[b]; });
  std::string line;
  for (const size_t c : order)
    if (of_class[c] > 0)
      line += str(line.empty() ? "" : "\t", printable(names_[c]), " ", percent(of_class[c]));
  return line;
}

std::string MapPresentation::answer_json(std::span<const float> row, int64_t) const {
  const std::vector<double> of_class = shares(row);
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  j["classes"] = nlohmann::ordered_json::array();
  for (size_t c = 0; c < of_class.size(); ++c)
    j["classes"].push_back({{"name", names_[c]}, {"share", of_class[c]}});
  if (std::any_of(row.begin(), row.end(), [](float v) { return !std::isfinite(v); }))
    j["not_finite"] = true;
  return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

AnswerColumns MapPresentation::answer_columns() const { return {.answers = different_}; }

std::vector<AnswerCell> MapPresentation::answer_cells(std::span<const float> row) const {
  const std::vector<double> of_class = shares(row);
  return {of_class.begin(), of_class.end()};
}

std::vector<AnswerCell> MapPresentation::true_cells(const io::Dataset& dataset,
                                                    int64_t sample) const {
  std::vector<int64_t> pixels = dataset.map_facts(sample).pixels;
  pixels.resize(names_.size());
  const auto all = static_cast<double>(std::accumulate(pixels.begin(), pixels.end(), int64_t{0}));
  std::vector<AnswerCell> cells;
  for (const int64_t count : pixels)
    cells.emplace_back(all > 0 ? static_cast<double>(count) / all : 0.0);
  return cells;
}

std::vector<Picture> MapPresentation::pictures(const Maps& answer, const io::Image& photo) const {
  const auto& [row, rows, columns, geometry] = answer;
  const size_t maps = names_.size() == 2 ? 1 : names_.size();
  GRAFT_CHECK(std::ssize(row) == static_cast<int64_t>(maps) * rows * columns, "pictures of ",
              row.size(), " numbers, of maps of ", rows, "x", columns);
  io::Image classes = blank(photo.width, photo.height, 1);
  io::Image sure = blank(photo.width, photo.height, 1);
  io::Image overlay = io::with_channels(photo, 3);
  overlay.pixels = overlay.pixels.clone();
  uint8_t *of_class = classes.pixels.mutable_data<uint8_t>(),
          *of_sure = sure.pixels.mutable_data<uint8_t>(),
          *over = overlay.pixels.mutable_data<uint8_t>();
  for (int64_t y = 0; y < photo.height; ++y)
    for (int64_t x = 0; x < photo.width; ++x, ++of_class, ++of_sure, over += 3) {
      size_t said = 0;
      double best = -1;
      for (size_t map = 0; map < maps; ++map) {
        const double p = value_at(row.data() + static_cast<int64_t>(map) * rows * columns, columns,
                                  rows, geometry.x.place_of(x), geometry.y.place_of(y));
        if (p <= best) continue;
        best = p;
        said = map;
      }
      *of_class = io::kIgnoredPixel;
      if (best < 0) continue;
      if (maps == 1) said = best >= threshold_;
      *of_class = static_cast<uint8_t>(said);
      *of_sure = static_cast<uint8_t>(std::clamp(best, 0.0, 1.0) * 255 + 0.5);
      const uint32_t color = color_of_class(static_cast<int64_t>(said));
      for (int k = 0; said > 0 && k < 3; ++k)
        over[k] = static_cast<uint8_t>((over[k] + (color >> (16 - 8 * k) & 0xff)) / 2);
    }
  std::vector<uint32_t> palette;
  for (int64_t c = 0; c < 256; ++c) palette.push_back(color_of_class(c));
  std::vector<Picture> pictures;
  pictures.push_back({"classes", std::move(classes), std::move(palette)});
  pictures.push_back({"probability", std::move(sure), {}});
  pictures.push_back({"overlay", std::move(overlay), {}});
  return pictures;
}

}  // namespace graft::train
