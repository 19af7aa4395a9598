// A table with a line for each box: the image, the class, and the edges in pixels. A line whose
// class and edges are empty is of an image without objects.
#include <algorithm>
#include <array>
#include <map>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/box_sources.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/file_finder.h"
#include "graft/io/datasets/label_cells.h"
#include "graft/io/datasets/table.h"
#include "graft/io/datasets/table_columns.h"

namespace graft::io {
namespace {

constexpr int64_t kBoxTableLimit = int64_t{256} << 20;

Table box_table_at(const std::string& path) {
  const std::string text = read_text_file(path, kBoxTableLimit);
  const std::string extension = lower_extension(path);
  return extension == ".jsonl" || extension == ".ndjson" ? parse_json_lines(text, path)
                                                         : parse_table(text, path);
}

struct BoxColumns {
  int64_t image = -1, label = -1, split = -1, width = -1, height = -1;
  std::array<int64_t, 4> edges{-1, -1, -1, -1};
  std::string split_name{};

  bool are_all() const {
    return image >= 0 && label >= 0 && std::find(edges.begin(), edges.end(), -1) == edges.end();
  }
};

const std::vector<std::string>& titles_of(const Table& table) {
  static const std::vector<std::string> none;
  if (!table.names.empty()) return table.names;
  return table.rows.empty() ? none : table.rows[0].fields;
}

BoxColumns box_columns(const Table& table, const TableColumns& wanted) {
  const std::vector<std::string>& names = titles_of(table);
  const auto called = [&](const std::string& asked, std::initializer_list<const char*> known) {
    for (size_t c = 0; c < names.size(); ++c) {
      std::string lower;
      for (const char l : names[c])
        lower += l >= 'A' && l <= 'Z' ? static_cast<char>(l - 'A' + 'a') : l;
      const bool is_known = std::find(known.begin(), known.end(), lower) != known.end();
      if (asked.empty() ? is_known : names[c] == asked) return static_cast<int64_t>(c);
    }
    return int64_t{-1};
  };
  BoxColumns columns;
  columns.image = called(wanted.image, {"image", "filename", "file", "file_name", "path", "img",
                                        "image_path", "image_id", "image_name"});
  columns.label = called(
      wanted.label, {"class", "label", "name", "class_name", "category", "cell_type", "labels"});
  columns.split = called(wanted.split, {"split", "set", "subset", "part", "fold"});
  columns.width = called("", {"width"});
  columns.height = called("", {"height"});
  columns.edges = {
      called("", {"xmin", "x1", "x_min", "left"}), called("", {"ymin", "y1", "y_min", "top"}),
      called("", {"xmax", "x2", "x_max", "right"}), called("", {"ymax", "y2", "y_max", "bottom"})};
  if (columns.split >= 0) columns.split_name = names[static_cast<size_t>(columns.split)];
  return columns;
}

// Reads lines into images, which come in the order of their first lines.
class BoxLines {
 public:
  BoxLines(const std::string& path, const BoxColumns& columns, const FileFinder& finder)
      : path_(path), columns_(columns), finder_(finder) {}

  void add(const TableRow& row, AnnotatedFiles& files) {
    const std::string image = cell(row, columns_.image), name = cell(row, columns_.label);
    GRAFT_CHECK(!image.empty(), path_, ": line ", row.line, " names no image");
    const PartRole role = columns_.split < 0
                              ? PartRole::train
                              : split_role(columns_.split_name, cell(row, columns_.split));
    GRAFT_CHECK(role != PartRole::none, path_, ": line ", row.line, ": '",
                cell(row, columns_.split), "' is none of train, val and test");
    const auto [at, is_first] = places_.emplace(image, Place{role, 0});
    GRAFT_CHECK(at->second.role == role, path_, ": line ", row.line, ": ", image,
                " stands in two parts");
    std::vector<AnnotatedFile>& of_part = files.of(role).files;
    if (is_first) {
      const std::string found = finder_.find(image);
      if (found.empty()) missing_.push_back(image);
      at->second.index = found.empty() ? -1 : std::ssize(of_part);
      if (!found.empty()) of_part.push_back({.image = found, .image_name = image});
    }
    if (at->second.index < 0) return;
    AnnotatedFile& file = of_part[static_cast<size_t>(at->second.index)];
    if (columns_.width >= 0 && columns_.height >= 0) {
      file.stated_width = static_cast<int64_t>(number(row, columns_.width));
      file.stated_height = static_cast<int64_t>(number(row, columns_.height));
    }
    const bool is_empty = std::all_of(columns_.edges.begin(), columns_.edges.end(),
                                      [&](int64_t c) { return cell(row, c).empty(); });
    if (is_empty && name.empty()) return;  // no objects
    GRAFT_CHECK(!name.empty(), path_, ": line ", row.line, " has a box without a class");
    const auto& e = columns_.edges;
    file.boxes.push_back(
        {{number(row, e[0]), number(row, e[1]), number(row, e[2]), number(row, e[3])}, name});
  }
  const std::vector<std::string>& missing() const { return missing_; }

 private:
  struct Place {
    PartRole role;
    int64_t index;  // -1: its file is not there
  };
  std::string cell(const TableRow& row, int64_t column) const {
    const auto c = static_cast<size_t>(column);
    return c < row.fields.size() ? row.fields[c] : std::string();
  }
  double number(const TableRow& row, int64_t column) const {
    const std::string text = cell(row, column);
    const auto value = number_in(text);
    GRAFT_CHECK(value && *value > -1e9 && *value < 1e9, path_, ": line ", row.line, ": '",
                text.substr(0, 40), "' is no number of pixels");
    return *value;
  }

  const std::string& path_;
  const BoxColumns& columns_;
  const FileFinder& finder_;
  std::map<std::string, Place> places_{};
  std::vector<std::string> missing_{};
};

}  // namespace

std::string why_box_table(const std::string& path) {
  const Table table = box_table_at(path);
  const BoxColumns columns = box_columns(table, {});
  if (!columns.are_all()) return "";
  const auto name = [&](int64_t c) { return titles_of(table)[static_cast<size_t>(c)]; };
  return str("its columns ", name(columns.edges[0]), ", ", name(columns.edges[1]), ", ",
             name(columns.edges[2]), " and ", name(columns.edges[3]), " are of boxes");
}

FoundBoxes read_box_table(const std::string& path, const TableColumns& wanted,
                          const PartsWanted& parts_wanted, DataParts& parts) {
  const Table table = box_table_at(path);
  const BoxColumns columns = box_columns(table, wanted);
  GRAFT_CHECK(columns.are_all(), path,
              ": the columns image, class, xmin, ymin, xmax and ymax are needed (--image-column, "
              "--label-column)");
  const FileFinder finder(path, wanted.root);
  FoundBoxes found;
  BoxLines lines(path, columns, finder);
  for (size_t r = table.names.empty() ? 1 : 0; r < table.rows.size(); ++r)
    lines.add(table.rows[r], found.files);
  if (!lines.missing().empty())
    parts.notes.push_back(str("left out: ", lines.missing().size(),
                              lines.missing().size() == 1 ? " image that is" : " images that are",
                              " not there: ", short_list(lines.missing(), 5)));
  found.files.val.name = "validation";
  found.files.test.name = "test";
  if (!parts_wanted.need_train &&
      (!found.files.val.files.empty() || !found.files.test.files.empty()))
    found.files.train = {};
  return found;
}

}  // namespace graft::io
