// A table of pairs: the columns image and mask, and where there is one the part of each.
#include <algorithm>
#include <set>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/file_finder.h"
#include "graft/io/datasets/label_cells.h"
#include "graft/io/datasets/mask_dataset.h"
#include "graft/io/datasets/mask_sources.h"
#include "graft/io/datasets/table.h"
#include "graft/io/datasets/table_columns.h"

namespace graft::io {
namespace {

constexpr int64_t kPairsLimit = int64_t{256} << 20;

Table table_at(const std::string& path) {
  const std::string text = read_text_file(path, kPairsLimit);
  const std::string extension = lower_extension(path);
  return extension == ".jsonl" || extension == ".ndjson" ? parse_json_lines(text, path)
                                                         : parse_table(text, path);
}

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

// The column that bears one of the names; -1: none does.
int64_t column_called(const std::vector<std::string>& names,
                      std::initializer_list<std::string_view> known) {
  for (size_t c = 0; c < names.size(); ++c)
    if (std::find(known.begin(), known.end(), lower_case(names[c])) != known.end())
      return static_cast<int64_t>(c);
  return -1;
}

int64_t mask_column(const std::vector<std::string>& names) {
  return column_called(names, {"mask", "masks", "mask_path", "mask_file", "segmentation",
                               "annotation", "annotation_path", "label_path", "seg_path"});
}

struct PairColumns {
  bool has_titles = false;
  size_t image = 0, mask = 1;
  int64_t split = -1;
  std::string split_name{};
};

size_t column_asked(const std::vector<std::string>& names, size_t width, const std::string& wanted,
                    const std::string& path) {
  const auto at = std::find(names.begin(), names.end(), wanted);
  if (at != names.end()) return static_cast<size_t>(at - names.begin());
  const auto number = number_in(wanted);
  GRAFT_CHECK(number && *number >= 1 && *number <= static_cast<double>(width), path,
              ": has no column ", wanted);
  return static_cast<size_t>(*number) - 1;
}

PairColumns pair_columns(const Table& table, const TableColumns& wanted, const FileFinder& finder,
                         const std::string& path) {
  PairColumns columns;
  const std::vector<std::string>& first = table.names.empty() ? table.rows[0].fields : table.names;
  columns.has_titles =
      table.names.empty() && std::none_of(first.begin(), first.end(), [&](const std::string& cell) {
        return !finder.find(cell).empty();
      });
  const bool has_names = columns.has_titles || !table.names.empty();
  const std::vector<std::string> names = has_names ? first : std::vector<std::string>();
  const auto choose = [&](const std::string& asked, int64_t called, size_t otherwise) {
    if (!asked.empty()) return column_asked(names, first.size(), asked, path);
    return called >= 0 ? static_cast<size_t>(called) : otherwise;
  };
  const int64_t mask = mask_column(names);
  columns.image = choose(wanted.image,
                         column_called(names, {"image", "images", "image_path", "image_file", "img",
                                               "path", "file", "filename"}),
                         mask == 0 ? 1 : 0);
  columns.mask = choose(wanted.label, mask, columns.image == 0 ? 1 : 0);
  GRAFT_CHECK(columns.image != columns.mask && first.size() >= 2, path,
              ": the columns image and mask are needed (--image-column, --label-column)");
  columns.split = wanted.split.empty()
                      ? column_called(names, {"split", "set", "subset", "part", "fold", "is_valid"})
                      : static_cast<int64_t>(column_asked(names, first.size(), wanted.split, path));
  if (columns.split >= 0 && has_names)
    columns.split_name = names[static_cast<size_t>(columns.split)];
  return columns;
}

}  // namespace

std::string why_mask_table(const std::string& path, const TableColumns& columns) {
  const Table table = table_at(path);
  if (table.rows.empty()) return "";
  const std::vector<std::string>& names = table.names.empty() ? table.rows[0].fields : table.names;
  const int64_t mask = mask_column(names);
  const size_t first = table.names.empty() ? 1 : 0;
  if (mask < 0 || table.rows.size() <= first) return "";
  const std::vector<std::string>& row = table.rows[first].fields;
  const auto c = static_cast<size_t>(mask);
  const FileFinder finder(path, columns.root);
  if (c >= row.size() || finder.find(row[c]).empty()) return "";
  return str("its column ", names[c], " names files");
}

DataParts read_mask_table(const std::string& path, const TableColumns& wanted,
                          const PartsWanted& parts_wanted, const MaskOptions& options) {
  const Table table = table_at(path);
  GRAFT_CHECK(!table.rows.empty(), path, ": the table names no images");
  const FileFinder finder(path, wanted.root);
  const PairColumns columns = pair_columns(table, wanted, finder, path);
  DataParts parts;
  MaskedFiles files;
  std::set<std::string> seen;
  std::vector<std::string> missing;
  for (size_t r = columns.has_titles ? 1 : 0; r < table.rows.size(); ++r) {
    const TableRow& row = table.rows[r];
    GRAFT_CHECK(row.fields.size() > std::max(columns.image, columns.mask), path, ": line ",
                row.line, " is not \"image,mask\"");
    const std::string &image = row.fields[columns.image], &mask = row.fields[columns.mask];
    GRAFT_CHECK(!image.empty(), path, ": line ", row.line, " names no image");
    const std::string image_path = finder.find(image), mask_path = finder.find(mask);
    if (image_path.empty() || mask_path.empty()) {
      missing.push_back(image_path.empty() ? image : mask.empty() ? image + " (no mask)" : mask);
      continue;
    }
    GRAFT_CHECK(seen.insert(image_path).second, path, ": line ", row.line, ": ", image,
                " stands in the table twice");
    const auto c = static_cast<size_t>(columns.split);
    const PartRole role =
        columns.split < 0
            ? PartRole::train
            : split_role(columns.split_name, c < row.fields.size() ? row.fields[c] : std::string());
    GRAFT_CHECK(role != PartRole::none, path, ": line ", row.line, ": '",
                c < row.fields.size() ? row.fields[c] : std::string(),
                "' is none of train, val and test");
    files.of(role).files.push_back({image_path, image, mask_path, mask});
  }
  if (!missing.empty())
    parts.notes.push_back(
        str("left out: ", missing.size(),
            missing.size() == 1 ? " pair, for a file is" : " pairs, for files are",
            " not there: ", short_list(missing, 5)));
  files.val.name = "validation";
  files.test.name = "test";
  if (!parts_wanted.need_train && (!files.val.files.empty() || !files.test.files.empty()))
    files.train = {};
  read_masks(std::move(files), path, finder.root(), options, parts);
  return parts;
}

}  // namespace graft::io
