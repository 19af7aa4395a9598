// YOLO's files: a line for each object, and where its classes have their names.
#include <algorithm>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/annotation_text.h"
#include "graft/io/datasets/label_cells.h"

namespace graft::io {
namespace {

constexpr double kMostYoloClasses = 100000;

std::vector<std::string> text_lines(const std::string& text) {
  std::vector<std::string> lines(1);
  for (const char c : text) {
    if (c == '\n')
      lines.emplace_back();
    else if (c != '\r')
      lines.back() += c == '\t' ? ' ' : c;
  }
  if (lines[0].starts_with("\xef\xbb\xbf")) lines[0].erase(0, 3);
  return lines;
}

std::string bare(std::string text) {
  const auto is_around = [](char c) { return c == ' ' || c == '"' || c == '\'' || c == ','; };
  while (!text.empty() && is_around(text.back())) text.pop_back();
  size_t begin = 0;
  while (begin < text.size() && is_around(text[begin])) ++begin;
  return text.substr(begin);
}

// The box of a line's numbers, without the class.
Box box_of(const std::vector<double>& n) {
  if (n.size() == 4) return {n[0] - n[2] / 2, n[1] - n[3] / 2, n[0] + n[2] / 2, n[1] + n[3] / 2};
  Box box{n[0], n[1], n[0], n[1]};
  for (size_t i = 2; i + 1 < n.size(); i += 2) {
    box.left = std::min(box.left, n[i]);
    box.right = std::max(box.right, n[i]);
    box.top = std::min(box.top, n[i + 1]);
    box.bottom = std::max(box.bottom, n[i + 1]);
  }
  return box;
}

// "[a, 'b']", or "{0: a, 1: b}" without the numbers.
void add_inline_names(const std::string& list, std::vector<std::string>& names) {
  for (const std::string& part : parts_of_cell(list.substr(1, list.find_last_of("]}") - 1), ',')) {
    const size_t colon = list[0] == '{' ? part.find(':') : std::string::npos;
    names.push_back(bare(colon == std::string::npos ? part : part.substr(colon + 1)));
  }
}

}  // namespace

AnnotatedFile parse_yolo(const std::string& text, const std::vector<std::string>& names,
                         const std::string& name) {
  AnnotatedFile file;
  file.is_relative = true;
  int64_t number = 0;
  for (const std::string& line : text_lines(text)) {
    ++number;
    const std::vector<std::string> parts = parts_of_cell(line, ' ');
    if (parts.empty()) continue;
    std::vector<double> values;
    for (const std::string& part : parts) {
      const auto value = number_in(part);
      GRAFT_CHECK(value, name, ": line ", number, ": '", part.substr(0, 40), "' is no number");
      values.push_back(*value);
    }
    GRAFT_CHECK(values.size() == 5 || (values.size() >= 7 && values.size() % 2 == 1), name,
                ": line ", number, " is not \"class x y width height\"");
    const double label = values[0];
    GRAFT_CHECK(label >= 0 && label < kMostYoloClasses &&
                    label == static_cast<double>(static_cast<int64_t>(label)),
                name, ": line ", number, ": class ", label, " is no number of one");
    const auto c = static_cast<size_t>(label);
    GRAFT_CHECK(names.empty() || c < names.size(), name, ": line ", number, ": class ", c, " of ",
                names.size());
    values.erase(values.begin());
    file.boxes.push_back({box_of(values), names.empty() ? std::to_string(c) : names[c]});
  }
  return file;
}

std::vector<std::string> parse_yolo_names(const std::string& text, const std::string& path) {
  std::vector<std::string> names;
  const std::string extension = lower_extension(path);
  const bool is_yaml = extension == ".yaml" || extension == ".yml";
  bool is_within = !is_yaml;
  for (const std::string& line : text_lines(text)) {
    if (is_yaml && line.starts_with("names:")) {
      const std::string rest = bare(line.substr(6));
      if (rest.starts_with('[') || rest.starts_with('{')) {
        add_inline_names(rest, names);
        return names;
      }
      is_within = true;
      continue;
    }
    const std::string own = bare(line);
    if (!is_within || own.empty() || own.starts_with('#')) continue;
    if (!is_yaml) {
      names.push_back(own);
      continue;
    }
    if (own.starts_with("- ")) {
      names.push_back(bare(own.substr(2)));
    } else if (line.starts_with(' ') && own.find(':') != std::string::npos) {
      names.push_back(bare(own.substr(own.find(':') + 1)));
    } else {
      break;  // the next key
    }
  }
  return names;
}

}  // namespace graft::io
