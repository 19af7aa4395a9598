// Table: rows of text fields from CSV as programs write it (separators, quotes, encodings, line
// ends) and from JSON lines.
#pragma once
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

struct TableRow {
  int64_t line = 1;                   // of the file, from 1
  std::vector<std::string> fields{};  // trimmed of blanks
};

struct Table {
  std::vector<TableRow> rows{};
  std::vector<std::string> names{};  // JSON lines' keys; empty: the first row may hold them
  char separator = ',';
};

// UTF-8 or UTF-16 (by its byte-order mark); separated by the one of , ; tab | (or blanks) that
// gives most lines the same number of fields; quotes as in RFC 4180; lines end in LF, CR LF or CR.
GRAFT_API Table parse_table(std::string text, const std::string& path);
// One JSON object a line; of lists of strings these with | between them, of other nested values the
// text.
GRAFT_API Table parse_json_lines(const std::string& text, const std::string& path);

}  // namespace graft::io
