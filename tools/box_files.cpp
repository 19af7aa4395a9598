#include "graft/tools/box_files.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "graft/api/tracking.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/tools/output.h"

namespace graft::tools {
namespace {

using Json = nlohmann::ordered_json;

// COCO's images are called by their numbers: "000000000139.jpg" is 139; other names stay.
Json image_id(const std::string& stem) {
  const bool is_number = !stem.empty() && stem.size() <= 18 &&
                         stem.find_first_not_of("0123456789") == std::string::npos;
  return is_number ? Json(std::stoll(stem)) : Json(printable(stem));
}

}  // namespace

BoxFiles::BoxFiles(const Predictor& predictor, std::string coco, std::string yolo)
    : predictor_(predictor), coco_(std::move(coco)), yolo_(std::move(yolo)) {
  box_confidence(predictor);
  if (!coco_.empty()) check_writable(coco_);
  if (!yolo_.empty()) file_system().create_directories(yolo_);
}

void BoxFiles::add(const std::string& image, const Answer& answer, int64_t width, int64_t height) {
  if (!answer.is_finite()) return;  // said at the end
  std::string stem = file_name(image == "-" ? "standard_input" : image);
  stem.resize(stem.size() - lower_extension(stem).size());
  if (!coco_.empty()) add_coco(stem, answer);
  if (!yolo_.empty()) add_yolo(stem, answer, width, height);
}

// All boxes, however unsure: an average precision needs them.
void BoxFiles::add_coco(const std::string& stem, const Answer& answer) {
  for (const train::SeenBox& own : seen_boxes(predictor_, answer)) {
    const Json row = {{"image_id", image_id(stem)},
                      {"category_id", own.kind + 1},
                      {"bbox", {own.box.left, own.box.top, own.box.width(), own.box.height()}},
                      {"score", own.score},
                      {"category", kind_names(predictor_).at(static_cast<size_t>(own.kind))}};
    rows_ +=
        (rows_.empty() ? "" : ",\n") + row.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
}

// The boxes that are said.
void BoxFiles::add_yolo(const std::string& stem, const Answer& answer, int64_t width,
                        int64_t height) {
  const auto w = static_cast<double>(width), h = static_cast<double>(height);
  std::string lines;
  for (const train::SeenBox& own : seen_boxes(predictor_, answer)) {
    if (own.score < box_confidence(predictor_)) continue;
    lines +=
        str(own.kind, " ", fixed((own.box.left + own.box.right) / 2 / w, 6), " ",
            fixed((own.box.top + own.box.bottom) / 2 / h, 6), " ", fixed(own.box.width() / w, 6),
            " ", fixed(own.box.height() / h, 6), " ", fixed(own.score, 6), "\n");
  }
  const int64_t times = ++written_[stem];
  write_file_atomically(
      join_path(yolo_, stem + (times > 1 ? str("_", times) : std::string()) + ".txt"), lines);
}

void BoxFiles::write() const {
  if (!coco_.empty()) write_file_atomically(coco_, str("[", rows_, "]\n"));
}

}  // namespace graft::tools
