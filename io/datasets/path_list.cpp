#include "graft/io/datasets/path_list.h"

#include <algorithm>
#include <array>
#include <optional>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/file_finder.h"
#include "graft/io/datasets/table.h"
#include "graft/io/images/image.h"

namespace graft::io {
namespace {

constexpr int64_t kListLimit = int64_t{256} << 20;
constexpr size_t kProbedLines = 30;

std::string field_of(const TableRow& row, size_t column) {
  return column < row.fields.size() ? row.fields[column] : std::string();
}

// The table of one column that each line by itself is, where lines name files that are there: names
// may hold what separates columns elsewhere.
std::optional<Table> lines_of_files(const std::string& text, const FileFinder& finder) {
  Table table;
  bool found = false;
  for (size_t begin = 0, line = 1; begin < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string name = text.substr(begin, end - begin);
    if (name.ends_with('\r')) name.pop_back();
    begin = end + 1;
    if (name.empty()) continue;
    if (name.starts_with('"')) return std::nullopt;
    table.rows.push_back({static_cast<int64_t>(line), {name}});
    found = found || !finder.find(name).empty();
    if (!found && table.rows.size() == kProbedLines) return std::nullopt;
  }
  return found ? std::optional(std::move(table)) : std::nullopt;
}

// The column in which most rows name files that are there; of none, files by their ending.
size_t column_of_files(const Table& table, const FileFinder& finder, const std::string& path) {
  std::vector<int64_t> found(table.rows[0].fields.size()), named(found.size());
  for (size_t r = 0; r < std::min(table.rows.size(), kProbedLines); ++r)
    for (size_t c = 0; c < found.size(); ++c) {
      found[c] += !finder.find(field_of(table.rows[r], c)).empty();
      named[c] += has_image_extension(field_of(table.rows[r], c));
    }
  const auto& counts = *std::max_element(found.begin(), found.end()) > 0 ? found : named;
  const auto most = std::max_element(counts.begin(), counts.end());
  GRAFT_CHECK(*most > 0, path, ": no column names images (--image-column says which)");
  return static_cast<size_t>(most - counts.begin());
}

size_t column_named(const Table& table, const std::string& name, const std::string& path) {
  const std::vector<std::string>& names = table.names.empty() ? table.rows[0].fields : table.names;
  const auto at = std::find(names.begin(), names.end(), name);
  if (at != names.end()) return static_cast<size_t>(at - names.begin());
  const bool is_number =
      !name.empty() && name.size() < 6 && name.find_first_not_of("0123456789") == std::string::npos;
  const size_t number = is_number ? std::stoul(name) : 0;
  GRAFT_CHECK(number >= 1 && number <= names.size(), path, ": there is no column '", name,
              "' for --image-column; it has ", short_list(names));
  return number - 1;
}

}  // namespace

bool is_table(const std::string& path) {
  constexpr std::array<std::string_view, 5> endings = {".csv", ".tsv", ".txt", ".jsonl", ".ndjson"};
  return std::find(endings.begin(), endings.end(), lower_extension(path)) != endings.end();
}

std::vector<std::string> read_path_list(const std::string& path, const TableColumns& columns) {
  const std::string text = read_text_file(path, kListLimit);
  const bool is_json = lower_extension(path) == ".jsonl" || lower_extension(path) == ".ndjson";
  const FileFinder finder(path, columns.root);
  std::optional<Table> list;
  if (!is_json && columns.image.empty()) list = lines_of_files(text, finder);
  const Table table = list      ? std::move(*list)
                      : is_json ? parse_json_lines(text, path)
                                : parse_table(text, path);
  GRAFT_CHECK(!table.rows.empty(), path, ": the table names no images");
  const size_t column = columns.image.empty() ? column_of_files(table, finder, path)
                                              : column_named(table, columns.image, path);
  std::vector<std::string> paths;
  for (size_t r = 0; r < table.rows.size(); ++r) {
    const std::string name = field_of(table.rows[r], column), found = finder.find(name);
    const bool is_header = r == 0 && table.names.empty() && found.empty() &&
                           !has_image_extension(name) && table.rows.size() > 1;
    if (is_header) continue;
    GRAFT_CHECK(!name.empty() && name.find('\0') == std::string::npos, path, ": line ",
                table.rows[r].line, " names no image");
    paths.push_back(found.empty() ? finder.placed(name) : found);
  }
  return paths;
}

}  // namespace graft::io
