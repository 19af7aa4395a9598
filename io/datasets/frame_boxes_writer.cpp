// Writing boxes in frames as MOTChallenge, KITTI tracking or graft's own table.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "graft/core/base/error.h"
#include "graft/io/datasets/frame_boxes.h"

namespace graft::io {
namespace {

// Two digits after the point, the same in every locale; four of a score.
std::string decimal(double value, int digits = 2) {
  std::array<char, 64> text{};
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value,
                                     std::chars_format::fixed, digits);
  return {text.data(), written.ptr};
}

std::string csv_text(const std::string& text) {  // RFC 4180
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv_row(const FrameBox& own, std::span<const std::string> names) {
  std::string row = str(own.frame + 1, ",");
  if (!names.empty()) {
    GRAFT_CHECK(own.frame < std::ssize(names), "a box of frame ", own.frame + 1, " of ",
                names.size());
    row += csv_text(names[static_cast<size_t>(own.frame)]) + ",";
  }
  return str(row, own.id, ",", csv_text(own.kind), ",", decimal(own.score, 4), ",",
             decimal(own.box.left), ",", decimal(own.box.top), ",", decimal(own.box.right), ",",
             decimal(own.box.bottom), "\n");
}

std::string mot_row(const FrameBox& own) {
  return str(own.frame + 1, ",", own.id, ",", decimal(own.box.left), ",", decimal(own.box.top), ",",
             decimal(own.box.width()), ",", decimal(own.box.height()), ",", decimal(own.score, 4),
             ",-1,-1,-1\n");
}

std::string kitti_row(const FrameBox& own) {
  std::string kind = own.kind.empty() ? "Object" : own.kind;
  std::replace_if(
      kind.begin(), kind.end(), [](char c) { return c >= 0 && c <= ' '; }, '_');
  return str(own.frame, " ", own.id, " ", kind, " -1 -1 -10 ", decimal(own.box.left), " ",
             decimal(own.box.top), " ", decimal(own.box.right), " ", decimal(own.box.bottom),
             " -1 -1 -1 -1000 -1000 -1000 -10 ", decimal(own.score, 4), "\n");
}

}  // namespace

std::string frame_boxes_text(std::span<const FrameBox> boxes, FrameBoxFormat format,
                             std::span<const std::string> frame_names) {
  std::string text;
  if (format == FrameBoxFormat::csv)
    text =
        str("frame,", frame_names.empty() ? "" : "name,", "id,class,score,left,top,right,bottom\n");
  for (const FrameBox& own : boxes) {
    GRAFT_CHECK(std::isfinite(own.box.left) && std::isfinite(own.box.top) &&
                    std::isfinite(own.box.right) && std::isfinite(own.box.bottom) &&
                    std::abs(own.score) < 1e7,
                "a box of frame ", own.frame, " is not finite");
    text += format == FrameBoxFormat::csv   ? csv_row(own, frame_names)
            : format == FrameBoxFormat::mot ? mot_row(own)
                                            : kitti_row(own);
  }
  return text;
}

}  // namespace graft::io
