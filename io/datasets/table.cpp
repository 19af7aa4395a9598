#include "graft/io/datasets/table.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/io/json.h"

namespace graft::io {
namespace {

void add_code_point(std::string& out, uint32_t point) {
  const auto byte = [&](uint32_t value) { out += static_cast<char>(value); };
  if (point < 0x80) return byte(point);
  if (point < 0x800) {
    byte(0xc0 | point >> 6);
  } else {
    if (point < 0x10000) {
      byte(0xe0 | point >> 12);
    } else {
      byte(0xf0 | point >> 18);
      byte(0x80 | (point >> 12 & 0x3f));
    }
    byte(0x80 | (point >> 6 & 0x3f));
  }
  byte(0x80 | (point & 0x3f));
}

// Excel's "Unicode text".
std::string from_utf16(const std::string& text, bool big_endian) {
  std::string out;
  const auto unit = [&](size_t at) {
    const auto first = static_cast<unsigned char>(text[at]),
               second = static_cast<unsigned char>(text[at + 1]);
    return static_cast<uint32_t>(big_endian ? first << 8 | second : second << 8 | first);
  };
  for (size_t at = 2; at + 1 < text.size(); at += 2) {
    uint32_t point = unit(at);
    const bool is_pair = point >= 0xd800 && point < 0xdc00 && at + 3 < text.size();
    if (is_pair) {
      const uint32_t low = unit(at + 2);
      if (low >= 0xdc00 && low < 0xe000) {
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        at += 2;
      }
    }
    add_code_point(out, point);
  }
  return out;
}

std::string decoded(std::string text) {
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  if (text.starts_with("\xff\xfe")) text = from_utf16(text, false);
  if (text.starts_with("\xfe\xff")) text = from_utf16(text, true);
  std::string out;  // with LF for CR LF and CR
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      out += text[i];
    } else if (i + 1 >= text.size() || text[i + 1] != '\n') {
      out += '\n';
    }
  }
  return out;
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// path "": a trial, which complains of nothing.
std::vector<TableRow> parse(const std::string& text, char separator, const std::string& path) {
  std::vector<TableRow> rows;
  TableRow row{1, {""}};
  int64_t line = 1;
  bool quoted = false, was_quoted = false;
  const auto end_field = [&] {
    if (!was_quoted) row.fields.back() = trimmed(row.fields.back());
    was_quoted = false;
  };
  const auto end_row = [&] {
    end_field();
    if (row.fields.size() > 1 || !row.fields[0].empty()) rows.push_back(row);
    row = {line, {""}};
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    line += c == '\n';
    std::string& field = row.fields.back();
    if (quoted) {
      if (c != '"')
        field += c;
      else if (i + 1 < text.size() && text[i + 1] == '"')
        field += text[++i];
      else
        quoted = false;
    } else if (c == '"' && !was_quoted && trimmed(field).empty()) {
      field.clear();
      quoted = was_quoted = true;
    } else if (c == '\n') {
      end_row();
    } else if (c == separator) {
      if (separator == ' ' && field.empty() && !was_quoted) continue;  // several blanks are one
      end_field();
      row.fields.emplace_back();
    } else if (!was_quoted || (c != ' ' && c != '\t')) {
      field += c;
    }
  }
  GRAFT_CHECK(!quoted || path.empty(), path, ": a quotation mark opened on line ", row.line,
              " is not closed");
  end_row();
  return rows;
}

// The separator under which most of the first lines have the same number of fields, two or more;
// of equals the earlier one of the list.
char sniffed_separator(const std::string& text) {
  std::string head;
  size_t lines = 0;
  for (size_t i = 0; i < text.size() && lines < 50; ++i) lines += text[i] == '\n', head += text[i];
  if (std::count(head.begin(), head.end(), '"') % 2 != 0) head += '"';  // cut within a field
  char best = ',';
  double most = 0;
  for (const char separator : {',', ';', '\t', '|', ' '}) {
    std::map<size_t, int64_t> counts;
    int64_t all = 0;
    for (const TableRow& row : parse(head, separator, "")) ++counts[row.fields.size()], ++all;
    for (const auto& [fields, count] : counts) {
      const double share = static_cast<double>(count) / static_cast<double>(all);
      // Blanks stand in names and labels: they separate only where everything agrees.
      const bool counts_here = separator == ' ' ? fields == 2 && share == 1 : fields >= 2;
      if (counts_here && share > most) best = separator, most = share;
    }
  }
  return best;
}

std::string text_of_value(const nlohmann::ordered_json& value) {
  const auto is_text = [](const nlohmann::ordered_json& item) { return item.is_string(); };
  if (value.is_array() && std::all_of(value.begin(), value.end(), is_text)) {
    std::string list;
    for (const auto& item : value)
      list += (list.empty() ? "" : "|") + item.get_ref<const std::string&>();
    return list;
  }
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump();
}

}  // namespace

Table parse_table(std::string text, const std::string& path) {
  text = decoded(std::move(text));
  Table table;
  table.separator = sniffed_separator(text);
  table.rows = parse(text, table.separator, path);
  return table;
}

Table parse_json_lines(const std::string& given, const std::string& path) {
  const std::string text = decoded(given);
  Table table;
  int64_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string entry = trimmed(text.substr(begin, end - begin));
    begin = end + 1;
    ++line;
    if (entry.empty()) continue;
    const std::string what = str(path, ": line ", line);
    check_json(entry, what);
    const auto j = nlohmann::ordered_json::parse(entry, nullptr, false);
    GRAFT_CHECK(j.is_object(), what, " is not a JSON object");
    TableRow row{line, std::vector<std::string>(table.names.size())};
    for (const auto& [key, value] : j.items()) {
      auto at = std::find(table.names.begin(), table.names.end(), key);
      if (at == table.names.end()) {
        GRAFT_CHECK(table.names.size() < 1000, what, " brings more than 1000 different keys");
        at = table.names.insert(at, key);
        row.fields.emplace_back();
      }
      row.fields[static_cast<size_t>(at - table.names.begin())] = text_of_value(value);
    }
    table.rows.push_back(std::move(row));
  }
  for (TableRow& row : table.rows) row.fields.resize(table.names.size());
  return table;
}

}  // namespace graft::io
