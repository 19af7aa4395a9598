#include "graft/train/tasks/detection/box_presentation.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>

#include "graft/core/autograd/record.h"
#include "graft/core/base/printable.h"
#include "graft/core/base/text.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/train/tasks/detection/box_canvas.h"
#include "graft/train/tasks/detection/box_evaluation.h"
#include "graft/train/tasks/detection/box_maps.h"
#include "graft/train/tasks/shown.h"

namespace graft::train {
namespace {

constexpr int64_t kMostBoxes = 100, kBoxNumbers = 6;

const BoxEvaluation& boxes_of(const Metric& metric) {
  return dynamic_cast<const BoxEvaluation&>(metric);
}

std::string table_cell(std::string text, size_t width, bool right) {
  if (text.size() < width) text.insert(right ? 0 : text.size(), width - text.size(), ' ');
  return text;
}

std::string precision_shown(double ap) { return ap < 0 ? "-" : fixed(ap, 4); }

std::string css_of(uint32_t color) {
  char text[8];
  std::snprintf(text, sizeof text, "#%06x", static_cast<unsigned>(color));
  return text;
}

// Precision over recall, a line a class, in a square of 300 units.
std::string curves_svg(const PrecisionSummary& summary) {
  std::string lines;
  for (size_t c = 0; c < summary.curve_of_class.size(); ++c) {
    std::string points;
    for (size_t i = 0; i < summary.curve_of_class[c].size(); ++i)
      points += str(points.empty() ? "" : " ", 3 * i, ",",
                    fixed(300 * (1 - summary.curve_of_class[c][i]), 1));
    if (!points.empty())
      lines += str("<polyline fill=\"none\" stroke=\"", css_of(box_color(static_cast<int64_t>(c))),
                   "\" stroke-width=\"2\" points=\"", points, "\"/>\n");
  }
  return str("<svg viewBox=\"-2 -2 304 304\" width=\"304\" height=\"304\" role=\"img\" ",
             "aria-label=\"precision over recall\">\n<rect width=\"300\" height=\"300\" ",
             "fill=\"none\" stroke=\"#888\"/>\n", lines, "</svg>");
}

// "12 40 80.5 99": edges, to a tenth of a pixel.
std::string edges_shown(const io::Box& box) {
  std::string text;
  for (const double edge : {box.left, box.top, box.right, box.bottom})
    text += str(text.empty() ? "" : " ", shortest(std::round(edge * 10) / 10));
  return text;
}

}  // namespace

BoxPresentation::BoxPresentation(const Task& task, std::vector<std::string> names,
                                 double confidence, bool confidence_is_chosen)
    : Presentation(task),
      names_(std::move(names)),
      different_(told_apart(names_)),
      confidence_(confidence),
      confidence_is_chosen_(confidence_is_chosen) {}

std::string BoxPresentation::text(const Metric& metric) const {
  const BoxEvaluation& e = boxes_of(metric);
  const PrecisionSummary& s = e.summary();
  size_t width = 5;
  for (const std::string& name : names_) width = std::max(width, printable(name).size());
  std::string out = str(thousands(e.samples()), " images\n\n", table_cell("class", width, false),
                        "  objects  AP at 0.5  COCO AP  count off by\n");
  for (int64_t c = 0; c < e.classes(); ++c) {
    const auto i = static_cast<size_t>(c);
    out += str(table_cell(printable(names_[i]), width, false), "  ",
               table_cell(thousands(e.objects(c)), 7, true), "  ",
               table_cell(precision_shown(s.voc50_of_class[i]), 9, true), "  ",
               table_cell(precision_shown(s.ap_of_class[i]), 7, true), "  ",
               table_cell(fixed(e.count_error(c), 2), 12, true), "\n");
  }
  out += str("\nmean over the classes  AP at 0.5 ", fixed(s.voc50, 4), " (VOC 2007's ",
             fixed(s.voc07_50, 4), ")\nCOCO                   AP ", fixed(s.ap, 4), "  AP50 ",
             fixed(s.ap50, 4), "  AP75 ", fixed(s.ap75, 4), "  AR100 ", fixed(s.recall100, 4),
             "\na box is said from a score of ", fixed(confidence_, 3), " on (",
             confidence_is_chosen_ ? "chosen on the validation part" : "not chosen",
             "); counts of an image are then off by ", fixed(e.count_error(), 2), "\n");
  if (std::isfinite(e.loss())) out += str("loss ", fixed(e.loss(), 4), "\n");
  return out;
}

std::string BoxPresentation::json(const Metric& metric) const {
  const BoxEvaluation& e = boxes_of(metric);
  const PrecisionSummary& s = e.summary();
  nlohmann::ordered_json j = nlohmann::ordered_json::parse(Presentation::json(metric));
  j["confidence"] = confidence_;
  j["coco_ap50"] = s.ap50;
  j["classes"] = nlohmann::ordered_json::array();
  for (int64_t c = 0; c < e.classes(); ++c) {
    const auto i = static_cast<size_t>(c);
    nlohmann::ordered_json row = {{"name", names_[i]}, {"objects", e.objects(c)}};
    if (s.voc50_of_class[i] >= 0) {
      row["ap50"] = s.voc50_of_class[i];
      row["ap"] = s.ap_of_class[i];
      row["precision_at_recall"] = s.curve_of_class[i];
    }
    row["count_error"] = e.count_error(c);
    j["classes"].push_back(std::move(row));
  }
  return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string BoxPresentation::html(const Metric& metric, const Metric* changed,
                                  const std::string& name) const {
  const BoxEvaluation& e = boxes_of(metric);
  std::string table =
      str("\n<h2>Per class</h2>\n<table><tr><th></th><th>class</th><th>objects</th><th>AP at "
          "0.5</th><th>COCO "
          "AP</th><th>count off by</th>",
          changed ? str("<th>AP at 0.5 in ", escape(name), "</th>") : std::string(), "</tr>\n");
  for (int64_t c = 0; c < e.classes(); ++c) {
    const auto i = static_cast<size_t>(c);
    table += str("<tr><td style=\"background:", css_of(box_color(c)), "\">&nbsp;</td><th>",
                 escape(names_[i]), "</th><td>", thousands(e.objects(c)), "</td><td>",
                 precision_shown(e.summary().voc50_of_class[i]), "</td><td>",
                 precision_shown(e.summary().ap_of_class[i]), "</td><td>",
                 fixed(e.count_error(c), 2), "</td>");
    if (changed)
      table +=
          str("<td>", precision_shown(boxes_of(*changed).summary().voc50_of_class[i]), "</td>");
    table += "</tr>\n";
  }
  return str(
      table, "</table>\n<p>A box is said from a score of ", fixed(confidence_, 3), " on",
      confidence_is_chosen_ ? ", chosen on the validation part" : "",
      ".</p>\n<h2>Precision and recall</h2>\n<p>To the right the share of the objects that are "
      "found, up to 1; upwards the share of the boxes that are right, at an overlap of 0.5; a "
      "line for each class.</p>\n",
      curves_svg(e.summary()));
}

Tensor BoxPresentation::readable(const Tensor& outputs) const {
  const NoGradGuard no_grad;
  const Tensor maps = to_device(outputs, {}).to(MemoryFormat::contiguous);
  const auto numbers = static_cast<size_t>(maps.numel() / maps.size(0));
  Tensor rows = Tensor::zeros({maps.size(0), kMostBoxes, kBoxNumbers});
  float* to = rows.mutable_data<float>();
  for (int64_t n = 0; n < maps.size(0); ++n) {
    const std::span map(maps.data<float>() + static_cast<size_t>(n) * numbers, numbers);
    const bool is_finite =
        std::all_of(map.begin(), map.end(), [](float v) { return std::isfinite(v); });
    const auto found =
        found_boxes(map, std::ssize(names_), maps.size(2), maps.size(3), {.most = kMostBoxes});
    for (int64_t i = 0; i < kMostBoxes; ++i, to += kBoxNumbers) {
      to[4] = -1;
      if (!is_finite) std::fill_n(to, 4, std::numeric_limits<float>::quiet_NaN());
      if (!is_finite || i >= std::ssize(found)) continue;
      const FoundBox& own = found[static_cast<size_t>(i)];
      const double row[kBoxNumbers] = {
          own.box.left, own.box.top, own.box.right, own.box.bottom, static_cast<double>(own.label),
          own.score};
      for (int64_t k = 0; k < kBoxNumbers; ++k) to[k] = static_cast<float>(row[k]);
    }
  }
  return rows;
}

void BoxPresentation::place(std::span<float> row, const io::InputGeometry& geometry) const {
  for (size_t i = 0; i + kBoxNumbers <= row.size(); i += kBoxNumbers) {
    if (!(row[i + 4] >= 0)) continue;
    const auto edge = [&](size_t k) { return static_cast<double>(row[i + k]); };
    // Nothing mirrors an image that is answered, so that the input's width is not asked for.
    const io::Box box = geometry.of_image({edge(0), edge(1), edge(2), edge(3)}, 0);
    const double edges[4] = {box.left, box.top, box.right, box.bottom};
    for (size_t k = 0; k < 4; ++k) row[i + k] = static_cast<float>(edges[k]);
  }
}

std::vector<FoundBox> BoxPresentation::boxes_said(std::span<const float> row) const {
  std::vector<FoundBox> boxes;
  for (size_t i = 0; i + kBoxNumbers <= row.size(); i += kBoxNumbers) {
    const auto number = [&](size_t k) { return static_cast<double>(row[i + k]); };
    if (!(number(4) >= 0 && number(4) < static_cast<double>(names_.size())) ||
        !(number(5) >= confidence_))
      continue;
    boxes.push_back(
        {{number(0), number(1), number(2), number(3)}, static_cast<int64_t>(number(4)), number(5)});
  }
  return boxes;
}

std::string BoxPresentation::answer_text(std::span<const float> row, int64_t) const {
  std::string line;
  for (const FoundBox& own : boxes_said(row))
    line += str(line.empty() ? "" : "\t", printable(names_[static_cast<size_t>(own.label)]), " ",
                fixed(own.score, 4), " ", edges_shown(own.box));
  return line.empty() ? "nothing" : line;
}

std::string BoxPresentation::answer_json(std::span<const float> row, int64_t) const {
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  j["objects"] = nlohmann::ordered_json::array();
  std::vector<int64_t> counts(names_.size());
  for (const FoundBox& own : boxes_said(row)) {
    const auto c = static_cast<size_t>(own.label);
    ++counts[c];
    j["objects"].push_back({{"name", names_[c]},
                            {"score", own.score},
                            {"box", {own.box.left, own.box.top, own.box.right, own.box.bottom}}});
  }
  j["counts"] = nlohmann::ordered_json::object();
  for (size_t c = 0; c < names_.size(); ++c) j["counts"][different_[c]] = counts[c];
  if (std::any_of(row.begin(), row.end(), [](float v) { return !std::isfinite(v); }))
    j["not_finite"] = true;
  return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::vector<NamedValue> BoxPresentation::said(std::span<const float> row, int64_t) const {
  std::vector<NamedValue> values;
  for (const FoundBox& own : boxes_said(row))
    values.push_back(
        {names_[static_cast<size_t>(own.label)], own.label, static_cast<float>(own.score)});
  return values;
}

AnswerColumns BoxPresentation::answer_columns() const {
  AnswerColumns columns{.answers = different_};
  columns.answers.emplace_back("boxes");
  return columns;
}

std::vector<AnswerCell> BoxPresentation::cells_of(const std::vector<FoundBox>& boxes,
                                                  bool has_scores) const {
  std::vector<double> counts(names_.size());
  std::vector<std::string> shown;
  for (const FoundBox& own : boxes) {
    const auto c = static_cast<size_t>(own.label);
    ++counts.at(c);
    shown.push_back(str(different_[c], " ",
                        has_scores ? str(fixed(own.score, 4), " ") : std::string(),
                        edges_shown(own.box)));
  }
  std::vector<AnswerCell> cells(counts.begin(), counts.end());
  cells.emplace_back(std::move(shown));
  return cells;
}

std::vector<AnswerCell> BoxPresentation::answer_cells(std::span<const float> row) const {
  return cells_of(boxes_said(row), true);
}

std::vector<AnswerCell> BoxPresentation::true_cells(const io::Dataset& dataset,
                                                    int64_t sample) const {
  std::vector<FoundBox> boxes;
  for (const io::LabelledBox& own : dataset.boxes(sample).boxes)
    if (own.counts()) boxes.push_back({own.box, own.label, 1});
  return cells_of(boxes, false);
}

std::vector<Picture> BoxPresentation::pictures(const Maps& answer, const io::Image& photo) const {
  BoxCanvas canvas(photo);
  std::vector<FoundBox> boxes = boxes_said(answer.row);
  std::reverse(boxes.begin(), boxes.end());  // the surest on top
  for (const FoundBox& own : boxes) canvas.draw(own.box, box_color(own.label));
  std::vector<Picture> pictures;
  pictures.push_back({"boxes", canvas.take(), {}});
  return pictures;
}

}  // namespace graft::train
