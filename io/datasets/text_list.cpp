#include "graft/io/datasets/text_list.h"

#include <algorithm>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/table_columns.h"
#include "graft/io/texts/unicode.h"

namespace graft::io {
namespace {

constexpr int64_t kMostTextBytes = int64_t{256} << 20;

size_t longest_column(const Table& table, size_t first_row) {
  std::vector<size_t> bytes(1);
  for (size_t r = first_row; r < std::min<size_t>(table.rows.size(), 30); ++r) {
    bytes.resize(std::max(bytes.size(), table.rows[r].fields.size()));
    for (size_t c = 0; c < table.rows[r].fields.size(); ++c)
      bytes[c] += table.rows[r].fields[c].size();
  }
  return static_cast<size_t>(std::max_element(bytes.begin(), bytes.end()) - bytes.begin());
}

}  // namespace

std::vector<NamedText> lines_of(std::string_view bytes, const std::string& name) {
  const std::string_view text = text_of(bytes, name);
  std::vector<NamedText> lines;
  int64_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view all = text.substr(begin, end - begin);
    begin = end + 1;
    ++line;
    const size_t first = all.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) continue;
    all = all.substr(first, all.find_last_not_of(" \t\r") - first + 1);
    lines.push_back({str(name, ":", line), std::string(all)});
  }
  return lines;
}

std::vector<NamedText> texts_of_table(const std::string& path, const std::string& column) {
  const std::string bytes = read_text_file(path, kMostTextBytes);
  const std::string extension = lower_extension(path);
  const bool is_json = extension == ".jsonl" || extension == ".ndjson";
  const Table table = is_json ? parse_json_lines(bytes, path) : parse_table(bytes, path);
  GRAFT_CHECK(!table.rows.empty(), path, ": the table holds no texts");
  const std::vector<std::string>& names = is_json ? table.names : table.rows[0].fields;
  const auto is_text = [&](const std::string& name) {
    return column.empty() ? names_text(name) : name == column;
  };
  const auto found = std::find_if(names.begin(), names.end(), is_text);
  GRAFT_CHECK(found != names.end() || column.empty(), path, ": there is no column '", column, "'");
  const size_t first_row = !is_json && found != names.end() ? 1 : 0;
  const size_t c = found != names.end() ? static_cast<size_t>(found - names.begin())
                                        : longest_column(table, first_row);
  std::vector<NamedText> texts;
  for (size_t r = first_row; r < table.rows.size(); ++r) {
    const TableRow& row = table.rows[r];
    GRAFT_CHECK(c < row.fields.size(), path, ": line ", row.line, " has no text");
    texts.push_back({str(path, ":", row.line), row.fields[c]});
  }
  return texts;
}

}  // namespace graft::io
