#include "graft/io/datasets/table_columns.h"

#include <algorithm>
#include <map>
#include <set>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/label_cells.h"

namespace graft::io {
namespace {

constexpr size_t kProbedRows = 30;

std::string in_lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

bool names_one_of(const std::string& name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), in_lower_case(name)) != names.end();
}

class ColumnSearch {
 public:
  ColumnSearch(const Table& table, FileFinder& finder, const TableColumns& wanted, AnswerKind kind,
               const std::string& path)
      : table_(table), finder_(finder), wanted_(wanted), kind_(kind), path_(path) {
    std::map<size_t, int64_t> widths;
    for (const TableRow& row : table.rows) ++widths[row.fields.size()];
    width_ = table.rows[0].fields.size();
    for (const auto& [width, count] : widths)
      if (count > widths.at(width_)) width_ = width;
  }

  Columns search() {
    GRAFT_CHECK(width_ >= 2, path_, ": line ", table_.rows[0].line,
                " is not \"path,label\": no separator (, ; tab |) divides the lines");
    columns_.names = table_.names;
    const bool may_have_header = columns_.names.empty();
    const std::vector<std::string>& first = table_.rows[0].fields;
    if (may_have_header && looks_like_header(first)) {
      columns_.names = first;
      columns_.has_header = true;
    }
    GRAFT_CHECK(table_.rows.size() > first_row(), path_, ": the table names no images");
    columns_.image = wanted_.image.empty() ? found_image() : named(wanted_.image, "image");
    if (!wanted_.image.empty() && most_files() == width_) knows_elsewhere();
    if (may_have_header && !columns_.has_header && is_header_by_files()) {
      columns_.names = first;
      columns_.has_header = true;
    }
    if (!wanted_.split.empty())
      columns_.split = static_cast<int64_t>(named(wanted_.split, "split"));
    else
      columns_.split = found_split();
    if (!wanted_.group.empty())
      columns_.group = static_cast<int64_t>(named(wanted_.group, "group"));
    if (wanted_.label.empty())
      columns_.answers = found_answers();
    else
      columns_.answers = named_answers();
    GRAFT_CHECK(columns_.answers.size() == 1 || kind_ != AnswerKind::text, path_,
                ": --label-column ", wanted_.label, " names several columns; a text is one column");
    GRAFT_CHECK(columns_.answers.size() == 1 || kind_ != AnswerKind::one_label, path_,
                ": --label-column ", wanted_.label,
                " names several columns; an image has several labels or numbers with --task "
                "multilabel or regress");
    std::set<std::string> called;
    for (const size_t c : columns_.answers)
      GRAFT_CHECK(called.insert(columns_.shown(c)).second, path_, ": two label columns are called ",
                  columns_.shown(c));
    return columns_;
  }

 private:
  size_t first_row() const { return columns_.has_header ? 1 : 0; }

  bool looks_like_header(const std::vector<std::string>& fields) const {
    const bool names_one = std::any_of(fields.begin(), fields.end(), [](const std::string& f) {
      return names_one_of(f, {"path", "file", "image", "filename", "label", "class", "filepath",
                              "image_path", "image_name", "image_id", "filenames"});
    });
    return (names_one || is_wanted(fields)) && finder_.find(fields[0]).empty();
  }
  bool is_wanted(const std::vector<std::string>& fields) const {
    const auto holds = [&](const std::string& name) {
      return !name.empty() && std::find(fields.begin(), fields.end(), name) != fields.end();
    };
    const std::vector<std::string> answers = parts_of_cell(wanted_.label, ',');
    return holds(wanted_.image) || holds(wanted_.label) || holds(wanted_.split) ||
           holds(wanted_.group) || std::any_of(answers.begin(), answers.end(), holds);
  }
  // The first row names no file though the others do.
  bool is_header_by_files() const {
    if (table_.rows.size() < 2 || columns_.image >= table_.rows[0].fields.size()) return false;
    const auto exists = [&](size_t row) {
      const auto& fields = table_.rows[row].fields;
      return columns_.image < fields.size() && !finder_.find(fields[columns_.image]).empty();
    };
    const std::string& cell = table_.rows[0].fields[columns_.image];
    return !exists(0) && exists(1) && lower_extension(cell).empty() &&
           cell.find('/') == std::string::npos;
  }

  std::string listed() const {
    return columns_.names.empty() ? str(width_, " columns without names")
                                  : str("columns ", short_list(columns_.names));
  }

  size_t named(const std::string& name, const char* what) const {
    for (size_t c = 0; c < columns_.names.size(); ++c)
      if (columns_.names[c] == name) return c;
    if (!name.empty() && name.find_first_not_of("0123456789") == std::string::npos &&
        name.size() < 6) {
      const size_t number = std::stoul(name);
      if (number >= 1 && number <= width_) return number - 1;
    }
    bad_input(path_, ": there is no column '", name, "' for --", what, "-column; it has ",
              listed());
  }

  // The column in which most of the first rows name files.
  size_t found_image() {
    if (const size_t best = most_files(); best < width_) return best;
    if (knows_elsewhere())
      if (const size_t best = most_files(); best < width_) return best;
    refuse_names();
  }
  size_t most_files() const {
    size_t best = width_;
    int64_t most = 0;
    for (size_t c = 0; c < width_; ++c) {
      int64_t files = 0;
      for (size_t r = 0; r < std::min(table_.rows.size(), kProbedRows); ++r)
        if (c < table_.rows[r].fields.size())
          files += !finder_.find(table_.rows[r].fields[c]).empty();
      if (files > most) best = c, most = files;
    }
    return best;
  }
  bool knows_elsewhere() {
    for (size_t r = 0; r < std::min(table_.rows.size(), kProbedRows); ++r)
      for (const std::string& field : table_.rows[r].fields)
        if (finder_.find_elsewhere(field)) return true;
    return false;
  }
  // The first row is taken for a header where the second has an image's name and it has none.
  [[noreturn]] void refuse_names() const {
    const auto image_name = [](const TableRow& row) {
      return std::find_if(row.fields.begin(), row.fields.end(),
                          [](const std::string& field) { return has_image_extension(field); });
    };
    size_t number = std::min(first_row(), table_.rows.size() - 1);
    if (number == 0 && table_.rows.size() > 1 &&
        image_name(table_.rows[0]) == table_.rows[0].fields.end() &&
        image_name(table_.rows[1]) != table_.rows[1].fields.end())
      number = 1;
    const TableRow& row = table_.rows[number];
    if (row.fields[0].empty()) bad_input(path_, ": line ", row.line, " is not \"path,label\"");
    const auto found = image_name(row);
    const std::string& name = found == row.fields.end() ? row.fields[0] : *found;
    bad_input(path_, ": line ", row.line, ": there is no file ", finder_.placed(name),
              "; names are looked for from ", finder_.root(),
              " (--root says another folder, --image-column the column)", finder_.hint(name));
  }

  // A column that says train, val or test in every row, or is_valid.
  int64_t found_split() const {
    if (columns_.names.empty()) return -1;
    for (size_t c = 0; c < columns_.names.size(); ++c)
      if (c != columns_.image &&
          names_one_of(name_of(c), {"split", "set", "subset", "part", "partition", "phase",
                                    "is_valid", "fold"}))
        if (const auto value = table_.rows[first_row()].fields;
            first_row() < table_.rows.size() && c < value.size() &&
            split_role(name_of(c), value[c]) != PartRole::none)
          return static_cast<int64_t>(c);
    return -1;
  }

  // A row of names may be shorter than the others.
  std::string name_of(size_t c) const { return c < columns_.names.size() ? columns_.names[c] : ""; }

  bool is_index(size_t c) const {
    if (c >= columns_.names.size()) return false;
    return columns_.names[c].empty() || names_one_of(columns_.names[c], {"index", "unnamed: 0"});
  }

  // A column's own name may hold commas.
  std::vector<size_t> named_answers() const {
    const std::vector<std::string>& names = columns_.names;
    const std::vector<std::string> parts = parts_of_cell(wanted_.label, ',');
    if (parts.size() < 2 || std::find(names.begin(), names.end(), wanted_.label) != names.end())
      return {named(wanted_.label, "label")};
    std::vector<size_t> columns;
    for (const std::string& part : parts) columns.push_back(named(part, "label"));
    return columns;
  }

  template <class Read>
  bool all_cells(const std::vector<size_t>& columns, Read read) const {
    for (size_t r = first_row(); r < table_.rows.size(); ++r)
      for (const size_t c : columns)
        if (c >= table_.rows[r].fields.size() || !read(table_.rows[r].fields[c])) return false;
    return true;
  }

  // y beside x: two numbers, unless one label is wanted.
  bool is_half_a_place(size_t column, const std::vector<size_t>& left) const {
    return kind_ != AnswerKind::one_label && names_one_of(name_of(column), {"y"}) &&
           std::any_of(left.begin(), left.end(),
                       [&](size_t c) { return names_one_of(name_of(c), {"x"}); });
  }

  std::vector<size_t> found_answers() const {
    std::vector<size_t> left;
    for (size_t c = 0; c < width_; ++c)
      if (c != columns_.image && static_cast<int64_t>(c) != columns_.split &&
          static_cast<int64_t>(c) != columns_.group && !is_index(c))
        left.push_back(c);
    if (left.size() == 1) return left;
    std::vector<size_t> named_so;
    for (const size_t c : left)
      if (names_one_of(name_of(c),
                       {"label", "class", "category", "target", "labels", "y", "class_name",
                        "label_name", "labelname", "species", "breed", "classes", "categories"}))
        named_so.push_back(c);
    if (kind_ == AnswerKind::text)
      for (const size_t c : left)
        if (names_one_of(name_of(c), {"text", "transcript", "transcription", "sentence"}))
          return {c};
    if (named_so.size() == 1 && !is_half_a_place(named_so[0], left)) return named_so;
    const bool may_be_labels = kind_ == AnswerKind::several_labels || kind_ == AnswerKind::by_form;
    const bool may_be_numbers = kind_ == AnswerKind::numbers || kind_ == AnswerKind::by_form;
    if (!left.empty() && ((may_be_labels && all_cells(left, yes_or_no)) ||
                          (may_be_numbers && all_cells(left, number_in))))
      return left;
    const int64_t line = table_.rows[first_row() < table_.rows.size() ? first_row() : 0].line;
    if (left.empty()) bad_input(path_, ": line ", line, " is not \"path,label\": no label is left");
    bad_input(path_, ": line ", line, " is not \"path,label\": which column is the label? It has ",
              listed(), "; --label-column NAME or NUMBER says it");
  }

  const Table& table_;
  FileFinder& finder_;
  const TableColumns& wanted_;
  AnswerKind kind_;
  const std::string& path_;
  size_t width_ = 0;
  Columns columns_;
};

}  // namespace

std::string Columns::shown(size_t c) const {
  return c < names.size() && !names[c].empty() ? names[c] : str("column ", c + 1);
}

Columns find_columns(const Table& table, FileFinder& finder, const TableColumns& wanted,
                     AnswerKind kind, const std::string& path) {
  return ColumnSearch(table, finder, wanted, kind, path).search();
}

PartRole split_role(const std::string& column, const std::string& value) {
  if (names_one_of(column, {"is_valid"})) {
    if (names_one_of(value, {"true", "1"})) return PartRole::val;
    return names_one_of(value, {"false", "0"}) ? PartRole::train : PartRole::none;
  }
  return part_role(value);
}

}  // namespace graft::io
