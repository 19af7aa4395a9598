// A CSV "path,label" (RFC 4180 quoting; a header line "path,label" or "file,label" or "image,label"
// is skipped). Paths are relative to the CSV's folder. Labels are class names.
#include <algorithm>
#include <map>

#include "graft/core/base/file_system.h"
#include "graft/io/datasets/file_dataset.h"
#include "graft/io/datasets/sources.h"

namespace graft::io {
namespace {

constexpr int64_t kTextLimit = int64_t{256} << 20;

struct Row {
  int64_t line;
  std::vector<std::string> fields;
};

std::vector<Row> parse(const std::string& text, const std::string& path) {
  std::vector<Row> rows;
  Row row{1, {""}};
  int64_t line = 1;
  bool quoted = false, was_quoted = false;
  const auto end_row = [&] {
    if (row.fields.size() > 1 || !row.fields[0].empty()) rows.push_back(row);
    row = {line, {""}};
    was_quoted = false;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    line += c == '\n';
    if (quoted) {
      if (c != '"')
        row.fields.back() += c;
      else if (i + 1 < text.size() && text[i + 1] == '"')
        row.fields.back() += text[++i];
      else
        quoted = false;
    } else if (c == '"' && row.fields.back().empty() && !was_quoted) {
      quoted = was_quoted = true;
    } else if (c == ',') {
      row.fields.emplace_back();
      was_quoted = false;
    } else if (c == '\n') {
      end_row();
    } else if (c != '\r') {
      row.fields.back() += c;
    }
  }
  GRAFT_CHECK(!quoted, path, ": a quotation mark opened on line ", row.line, " is not closed");
  end_row();
  return rows;
}

bool is_header(const Row& row) {
  return row.fields.size() == 2 && row.fields[1] == "label" &&
         (row.fields[0] == "path" || row.fields[0] == "file" || row.fields[0] == "image" ||
          row.fields[0] == "filename");
}

}  // namespace

DataPart read_csv(const std::string& path) {
  std::string text = read_text_file(path, kTextLimit);
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);  // a byte-order mark
  std::vector<Row> rows = parse(text, path);
  if (!rows.empty() && is_header(rows[0])) rows.erase(rows.begin());
  GRAFT_CHECK(!rows.empty(), path, ": the CSV names no images");
  std::map<std::string, int64_t> labels;
  for (const Row& row : rows) {
    GRAFT_CHECK(row.fields.size() == 2 && !row.fields[0].empty() && !row.fields[1].empty(), path,
                ": line ", row.line, " is not \"path,label\"");
    labels[row.fields[1]] = 0;
  }
  GRAFT_CHECK(labels.size() >= 2, path, ": at least two classes are needed, it has ",
              labels.size());
  DataPart part;
  for (auto& [name, label] : labels) {
    label = std::ssize(part.classes);
    part.classes.push_back(name);
  }
  std::vector<LabelledFile> files;
  for (const Row& row : rows) {
    const std::string& file = row.fields[0];
    const std::string full = file[0] == '/' ? file : join_path(parent_path(path), file);
    const bool is_file = full.find('\0') == std::string::npos && file_system().exists(full) &&
                         !file_system().is_directory(full);
    GRAFT_CHECK(is_file, path, ": line ", row.line, ": there is no file ", full);
    files.push_back({full, file, labels[row.fields[1]]});
  }
  part.dataset = file_dataset(std::move(files));
  return part;
}

}  // namespace graft::io
