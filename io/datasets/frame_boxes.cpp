// Reading the text files of MOTChallenge, KITTI tracking and graft's own table of boxes in frames.
#include "graft/io/datasets/frame_boxes.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/printable.h"
#include "graft/io/datasets/label_cells.h"
#include "graft/io/datasets/table.h"

namespace graft::io {
namespace {

constexpr double kMostPixels = 1e7;
constexpr int64_t kMostIdentity = 1000000000;
constexpr size_t kMostLine = 4096, kMostKind = 256;

// One line of a file, for sentences about it.
struct LinePlace {
  const std::string& name;
  int64_t number;

  double finite(const std::string& field, const char* what) const {
    const std::optional<double> value = number_in(field);
    GRAFT_CHECK(value, name, ": line ", number, ": '", printable(field.substr(0, 40)),
                "' is no number, where ", what, " should stand");
    GRAFT_CHECK(std::abs(*value) < kMostPixels, name, ": line ", number, ": ", what, " ", *value,
                " is beyond 1e7");
    return *value;
  }
  int64_t whole(const std::string& field, const char* what, int64_t least, int64_t most) const {
    const std::optional<double> value = number_in(field);
    GRAFT_CHECK(value && *value == std::floor(*value) && *value >= static_cast<double>(least) &&
                    *value <= static_cast<double>(most),
                name, ": line ", number, ": '", printable(field.substr(0, 40)), "' is no ", what,
                " (", least, " to ", most, ")");
    return static_cast<int64_t>(*value);
  }
  Box box(double left, double top, double right, double bottom) const {
    GRAFT_CHECK(right >= left && bottom >= top, name, ": line ", number,
                ": the box's width or height is negative");
    return {left, top, right, bottom};
  }
  std::string kind(const std::string& field) const {
    GRAFT_CHECK(field.size() <= kMostKind, name, ": line ", number, ": a class's name of ",
                field.size(), " bytes; at most ", kMostKind, " are read");
    GRAFT_CHECK(std::none_of(field.begin(), field.end(), [](char c) { return c >= 0 && c < ' '; }),
                name, ": line ", number, ": a class's name with control characters");
    GRAFT_CHECK(is_utf8(field), name, ": line ", number, ": a class's name is no UTF-8");
    return field;
  }
};

// The fields between the marks, trimmed; of blanks several are one mark.
std::vector<std::string> fields_of(const std::string& line, char mark) {
  std::vector<std::string> fields;
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find(mark, begin), line.size());
    size_t first = begin, last = end;
    while (first < last && (line[first] == ' ' || line[first] == '\t')) ++first;
    while (last > first && (line[last - 1] == ' ' || line[last - 1] == '\t')) --last;
    if (mark != ' ' || last > first) fields.push_back(line.substr(first, last - first));
    begin = end + 1;
  }
  return fields;
}

FrameBox mot_line(std::vector<std::string> fields, const LinePlace& at) {
  if (!fields.empty() && fields.back().empty()) fields.pop_back();  // a comma at the end
  GRAFT_CHECK(fields.size() >= 6, at.name, ": line ", at.number, " has ", fields.size(),
              " fields; frame,id,left,top,width,height are needed");
  FrameBox found;
  found.frame = at.whole(fields[0], "frame's number", 1, kMostFrames) - 1;
  found.id = at.whole(fields[1], "identity", -1, kMostIdentity);
  const double left = at.finite(fields[2], "left"), top = at.finite(fields[3], "top"),
               width = at.finite(fields[4], "width"), height = at.finite(fields[5], "height");
  found.box = at.box(left, top, left + width, top + height);
  if (fields.size() == 9 && found.id >= 0) {
    const int64_t flag = at.whole(fields[6], "flag", 0, 1);
    found.is_judged = flag == 1;
    if (fields[7] != "-1") found.kind = str(at.whole(fields[7], "class", 0, kMostIdentity));
  } else if (fields.size() > 6) {
    found.score = at.finite(fields[6], "score");
  }
  return found;
}

FrameBox kitti_line(const std::vector<std::string>& fields, const LinePlace& at) {
  GRAFT_CHECK(fields.size() == 17 || fields.size() == 18, at.name, ": line ", at.number, " has ",
              fields.size(), " fields; KITTI's tracking files have 17, with a score 18");
  FrameBox found;
  found.frame = at.whole(fields[0], "frame's number", 0, kMostFrames - 1);
  found.id = at.whole(fields[1], "identity", -1, kMostIdentity);
  found.kind = at.kind(fields[2]);
  found.is_judged = found.kind != "DontCare";
  const double left = at.finite(fields[6], "left"), top = at.finite(fields[7], "top"),
               right = at.finite(fields[8], "right"), bottom = at.finite(fields[9], "bottom");
  found.box = at.box(left, top, right, bottom);
  for (const size_t i : {3, 4, 5, 10, 11, 12, 13, 14, 15, 16}) at.finite(fields[i], "a number");
  if (fields.size() == 18) found.score = at.finite(fields[17], "score");
  return found;
}

// Where the columns of graft's own table stand; -1: there is no such column.
struct CsvColumns {
  int64_t frame = -1, id = -1, kind = -1, score = -1, left = -1, top = -1, right = -1, bottom = -1;

  CsvColumns(const TableRow& header, const std::string& name) {
    const std::pair<const char*, int64_t*> columns[] = {
        {"frame", &frame}, {"id", &id},   {"class", &kind},  {"score", &score},
        {"left", &left},   {"top", &top}, {"right", &right}, {"bottom", &bottom}};
    for (size_t i = 0; i < header.fields.size(); ++i)
      for (const auto& [title, place] : columns)
        if (header.fields[i] == title && *place < 0) *place = static_cast<int64_t>(i);
    for (const auto& [title, place] : columns)
      GRAFT_CHECK(*place >= 0 || place == &id || place == &kind || place == &score, name,
                  ": there is no column ", title, " in its header");
  }
};

FrameBox csv_line(const TableRow& row, const CsvColumns& columns, const LinePlace& at) {
  const auto field = [&](int64_t column) -> const std::string& {
    GRAFT_CHECK(column < std::ssize(row.fields), at.name, ": line ", at.number, " has ",
                row.fields.size(), " fields, fewer than its header");
    return row.fields[static_cast<size_t>(column)];
  };
  FrameBox found;
  found.frame = at.whole(field(columns.frame), "frame's number", 1, kMostFrames) - 1;
  if (columns.id >= 0 && !field(columns.id).empty())
    found.id = at.whole(field(columns.id), "identity", -1, kMostIdentity);
  if (columns.kind >= 0) found.kind = at.kind(field(columns.kind));
  if (columns.score >= 0 && !field(columns.score).empty())
    found.score = at.finite(field(columns.score), "score");
  found.box =
      at.box(at.finite(field(columns.left), "left"), at.finite(field(columns.top), "top"),
             at.finite(field(columns.right), "right"), at.finite(field(columns.bottom), "bottom"));
  return found;
}

// Line by line, without a copy of the whole.
template <class Heard>
void each_line(const std::string& text, const std::string& name, const Heard& heard) {
  int64_t number = 0;
  for (size_t begin = text.starts_with("\xef\xbb\xbf") ? 3 : 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    ++number;
    GRAFT_CHECK(end - begin <= kMostLine, name, ": line ", number, " has ", end - begin,
                " bytes; at most ", kMostLine, " are read");
    std::string line = text.substr(begin, end - begin);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    std::replace(line.begin(), line.end(), '\t', ' ');
    if (!line.empty() && !heard(line, number)) return;
    begin = end + 1;
  }
}

void sort_and_bound(FrameBoxes& found, const std::string& name) {
  std::stable_sort(found.boxes.begin(), found.boxes.end(),
                   [](const FrameBox& a, const FrameBox& b) { return a.frame < b.frame; });
  int64_t count = 0;
  for (size_t i = 0; i < found.boxes.size(); ++i) {
    count = i > 0 && found.boxes[i].frame == found.boxes[i - 1].frame ? count + 1 : 1;
    GRAFT_CHECK(count <= kMostInFrame, name, ": more than ", kMostInFrame, " boxes in one frame");
  }
}

}  // namespace

FrameBoxes parse_frame_boxes(const std::string& text, const std::string& name) {
  FrameBoxes found;
  std::string first;
  each_line(text, name, [&](const std::string& line, int64_t) {
    first = line;
    return false;
  });
  const bool has_header =
      !first.empty() && first[0] != '-' && !(first[0] >= '0' && first[0] <= '9');
  if (has_header) {
    const Table table = parse_table(text, name);
    GRAFT_CHECK(!table.rows.empty(), name, ": there is no header");
    const CsvColumns columns(table.rows[0], name);
    for (size_t i = 1; i < table.rows.size(); ++i)
      found.boxes.push_back(csv_line(table.rows[i], columns, {name, table.rows[i].line}));
  } else {
    found.format = first.substr(0, first.find(' ')).find(',') != std::string::npos
                       ? FrameBoxFormat::mot
                       : FrameBoxFormat::kitti;
    each_line(text, name, [&](const std::string& line, int64_t number) {
      const LinePlace at{name, number};
      found.boxes.push_back(found.format == FrameBoxFormat::mot
                                ? mot_line(fields_of(line, ','), at)
                                : kitti_line(fields_of(line, ' '), at));
      return true;
    });
  }
  sort_and_bound(found, name);
  return found;
}

FrameBoxes read_frame_boxes(const std::string& path) {
  return parse_frame_boxes(read_text_file(path, kMostFrameBoxBytes), path);
}

FrameBoxFormat frame_box_format_named(const std::string& name) {
  if (name == "csv") return FrameBoxFormat::csv;
  if (name == "mot") return FrameBoxFormat::mot;
  if (name == "kitti") return FrameBoxFormat::kitti;
  fail(ErrorCode::usage, "there is no format '", printable(name), "': csv, mot or kitti");
}

}  // namespace graft::io
