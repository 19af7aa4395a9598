// A table of images and labels (CSV, or JSON lines): which columns they are, where the files lie,
// and what is said of it.
#include <algorithm>
#include <map>
#include <set>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/file_dataset.h"
#include "graft/io/datasets/part_folders.h"
#include "graft/io/datasets/sources.h"
#include "graft/io/datasets/table.h"

namespace graft::io {
namespace {

constexpr int64_t kTextLimit = int64_t{256} << 20;
constexpr size_t kProbedRows = 30;

std::string in_lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

bool names_one_of(const std::string& name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), in_lower_case(name)) != names.end();
}

// Finds the files that a table names: from its own folder or --root, with '/' for '\', and with an
// image's extension where the name has none.
class FileFinder {
 public:
  FileFinder(const std::string& table, const std::string& root)
      : root_(root.empty() ? parent_path(table) : root) {}

  // The path to read; "" when there is no such file.
  std::string find(const std::string& name) const {
    if (name.empty() || name.find('\0') != std::string::npos) return "";
    if (const std::string path = existing(placed(name)); !path.empty()) return path;
    if (name.find('\\') == std::string::npos) return "";
    std::string slashed = name;
    std::replace(slashed.begin(), slashed.end(), '\\', '/');
    return existing(placed(slashed));
  }
  std::string placed(const std::string& name) const {
    return name[0] == '/' ? name : join_path(root_, name);
  }
  const std::string& root() const { return root_; }

 private:
  static bool is_file(const std::string& path) {
    return file_system().exists(path) && !file_system().is_directory(path);
  }
  static std::string existing(const std::string& path) {
    if (is_file(path)) return path;
    if (!lower_extension(path).empty()) return "";
    for (const char* extension : {".jpg", ".png", ".jpeg", ".JPG", ".webp", ".tif", ".bmp"})
      if (is_file(path + extension)) return path + extension;
    return "";
  }
  std::string root_;
};

struct Columns {
  bool has_header = false;
  std::vector<std::string> names;  // empty without a header
  size_t image = 0, label = 0;
  int64_t split = -1;
};

class ColumnSearch {
 public:
  ColumnSearch(const Table& table, const FileFinder& finder, const TableColumns& wanted,
               const std::string& path)
      : table_(table), finder_(finder), wanted_(wanted), path_(path) {
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
    if (may_have_header && !columns_.has_header && is_header_by_files()) {
      columns_.names = first;
      columns_.has_header = true;
    }
    if (!wanted_.split.empty())
      columns_.split = static_cast<int64_t>(named(wanted_.split, "split"));
    else
      columns_.split = found_split();
    columns_.label = wanted_.label.empty() ? found_label() : named(wanted_.label, "label");
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
    for (const std::string* name : {&wanted_.image, &wanted_.label, &wanted_.split})
      if (!name->empty() && std::find(fields.begin(), fields.end(), *name) != fields.end())
        return true;
    return false;
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
  size_t found_image() const {
    size_t best = width_;
    int64_t most = 0;
    for (size_t c = 0; c < width_; ++c) {
      int64_t files = 0;
      for (size_t r = 0; r < std::min(table_.rows.size(), kProbedRows); ++r)
        if (c < table_.rows[r].fields.size())
          files += !finder_.find(table_.rows[r].fields[c]).empty();
      if (files > most) best = c, most = files;
    }
    if (best < width_) return best;
    const TableRow& row = table_.rows[std::min(first_row(), table_.rows.size() - 1)];
    if (row.fields[0].empty()) bad_input(path_, ": line ", row.line, " is not \"path,label\"");
    bad_input(path_, ": line ", row.line, ": there is no file ", finder_.placed(row.fields[0]),
              "; names are looked for from ", finder_.root(),
              " (--root says another folder, --image-column the column)");
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

  size_t found_label() const {
    std::vector<size_t> left;
    for (size_t c = 0; c < width_; ++c)
      if (c != columns_.image && static_cast<int64_t>(c) != columns_.split && !is_index(c))
        left.push_back(c);
    if (left.size() == 1) return left[0];
    std::vector<size_t> named_so;
    for (const size_t c : left)
      if (names_one_of(name_of(c),
                       {"label", "class", "category", "target", "labels", "y", "class_name",
                        "label_name", "labelname", "species", "breed", "classes", "categories"}))
        named_so.push_back(c);
    if (named_so.size() == 1) return named_so[0];
    const int64_t line = table_.rows[first_row() < table_.rows.size() ? first_row() : 0].line;
    if (left.empty()) bad_input(path_, ": line ", line, " is not \"path,label\": no label is left");
    bad_input(path_, ": line ", line, " is not \"path,label\": which column is the label? It has ",
              listed(), "; --label-column NAME or NUMBER says it");
  }

 public:
  static PartRole split_role(const std::string& column, const std::string& value) {
    if (names_one_of(column, {"is_valid"})) {
      if (names_one_of(value, {"true", "1"})) return PartRole::val;
      return names_one_of(value, {"false", "0"}) ? PartRole::train : PartRole::none;
    }
    return part_role(value);
  }

 private:
  const Table& table_;
  const FileFinder& finder_;
  const TableColumns& wanted_;
  const std::string& path_;
  size_t width_ = 0;
  Columns columns_;
};

struct Entry {
  int64_t line;
  LabelledFile file;
  std::string label;
  PartRole role = PartRole::train;
};

class TableReader {
 public:
  TableReader(const std::string& path, const TableColumns& wanted)
      : path_(path), finder_(path, wanted.root) {
    const std::string text = read_text_file(path, kTextLimit);
    const std::string extension = lower_extension(path);
    const bool is_json = extension == ".jsonl" || extension == ".ndjson";
    table_ = is_json ? parse_json_lines(text, path) : parse_table(text, path);
    GRAFT_CHECK(!table_.rows.empty(), path, ": the table names no images");
    columns_ = ColumnSearch(table_, finder_, wanted, path_).search();
    GRAFT_CHECK(table_.rows.size() > (columns_.has_header ? 1u : 0u), path,
                ": the table names no images");
  }

  DataParts read(bool need_train) {
    for (size_t r = columns_.has_header ? 1 : 0; r < table_.rows.size(); ++r)
      read_row(table_.rows[r]);
    drop_repeats();
    doubt_several_labels();
    say_columns();
    DataParts parts;
    parts.notes = std::move(notes_);
    parts.doubts = std::move(doubts_);
    parts.train = part(PartRole::train, "");
    parts.val = part(PartRole::val, "validation");
    parts.test = part(PartRole::test, "test");
    const DataPart& first = parts.train.dataset ? parts.train : parts.val;
    GRAFT_CHECK(first.classes.size() >= 2 || !need_train, path_,
                ": at least two classes are needed, it has ", first.classes.size());
    return parts;
  }

 private:
  void read_row(const TableRow& row) {
    const size_t last = std::max(columns_.image, columns_.label);
    GRAFT_CHECK(row.fields.size() > last && !row.fields[columns_.image].empty() &&
                    !row.fields[columns_.label].empty() &&
                    (row.fields.size() == 2 || table_.rows[0].fields.size() != 2),
                path_, ": line ", row.line, " is not \"path,label\"");
    const std::string& name = row.fields[columns_.image];
    GRAFT_CHECK(name.find('\0') == std::string::npos, path_, ": line ", row.line,
                ": a file's name holds a zero byte");
    const std::string found = finder_.find(name);
    Entry entry{row.line, {found.empty() ? finder_.placed(name) : found, name}, {}, {}};
    entry.label = row.fields[columns_.label];
    entry.role = role_of(row);
    missing_ += found.empty();
    if (found.empty() && missing_ == 1) first_missing_ = entry.file.path;
    entries_.push_back(std::move(entry));
  }

  PartRole role_of(const TableRow& row) const {
    if (columns_.split < 0) return PartRole::train;
    const auto c = static_cast<size_t>(columns_.split);
    const std::string value = c < row.fields.size() ? row.fields[c] : std::string();
    const std::string column = c < columns_.names.size() ? columns_.names[c] : std::string();
    const PartRole role = ColumnSearch::split_role(column, value);
    GRAFT_CHECK(role != PartRole::none, path_, ": line ", row.line, ": '", value,
                "' is none of train, val and test");
    return role;
  }

  // A photo named twice is one photo; under two labels it is a question that graft cannot answer.
  void drop_repeats() {
    std::map<std::string, size_t> seen;
    std::vector<Entry> kept;
    int64_t repeats = 0;
    for (Entry& entry : entries_) {
      const auto [at, is_first] = seen.emplace(entry.file.path, kept.size());
      if (is_first) {
        kept.push_back(std::move(entry));
        continue;
      }
      const Entry& before = kept[at->second];
      GRAFT_CHECK(before.label == entry.label, path_, ": lines ", before.line, " and ", entry.line,
                  ": ", entry.file.short_name, " stands under two labels (", before.label, ", ",
                  entry.label, "); graft gives an image one label");
      ++repeats;
    }
    if (repeats > 0) notes_.push_back(str(repeats, " rows repeat others and are read once"));
    entries_ = std::move(kept);
  }

  // "clear primary water": words that come again in other labels.
  void doubt_several_labels() {
    std::set<std::string> labels;
    for (const Entry& entry : entries_) labels.insert(entry.label);
    for (const char separator : {' ', '|', ',', ';'}) {
      std::map<std::string, std::set<std::string>> words;
      size_t several = 0;
      for (const std::string& label : labels) {
        size_t begin = 0, count = 0;
        while (begin <= label.size()) {
          const size_t end = std::min(label.find(separator, begin), label.size());
          words[label.substr(begin, end - begin)].insert(label);
          begin = end + 1;
          ++count;
        }
        several += count > 1;
      }
      const auto shared = std::count_if(words.begin(), words.end(),
                                        [](const auto& word) { return word.second.size() > 1; });
      if (several < 2 || shared < 2) continue;
      doubts_.push_back(str("labels such as '",
                            *std::find_if(labels.begin(), labels.end(),
                                          [&](const std::string& label) {
                                            return label.find(separator) != std::string::npos;
                                          }),
                            "' look like several labels in one; graft gives an image one label, so "
                            "that each of the ",
                            labels.size(), " combinations is a class"));
      return;
    }
  }

  void say_columns() {
    const auto name = [&](size_t c) {
      return c < columns_.names.size() && !columns_.names[c].empty() ? columns_.names[c]
                                                                     : str("column ", c + 1);
    };
    const bool is_plain = name(columns_.image) == "path" && name(columns_.label) == "label";
    if (!columns_.names.empty() && !is_plain)
      notes_.push_back(str(
          "images from ", name(columns_.image), ", labels from ", name(columns_.label),
          columns_.split >= 0 ? ", parts from " + name(static_cast<size_t>(columns_.split)) : ""));
    else if (columns_.split >= 0)
      notes_.push_back(str("parts from ", name(static_cast<size_t>(columns_.split))));
    if (missing_ > 0)
      notes_.push_back(str(missing_, missing_ == 1 ? " file is" : " files are",
                           " not there; the first: ", first_missing_));
  }

  DataPart part(PartRole role, const char* name) const {
    DataPart part;
    std::map<std::string, int64_t> labels;
    for (const Entry& entry : entries_)
      if (entry.role == role) labels[entry.label] = 0;
    if (labels.empty()) return part;
    for (auto& [label, number] : labels) {
      number = std::ssize(part.classes);
      part.classes.push_back(label);
    }
    std::vector<LabelledFile> files;
    for (const Entry& entry : entries_)
      if (entry.role == role)
        files.push_back({entry.file.path, entry.file.short_name, labels[entry.label]});
    part.dataset = file_dataset(std::move(files));
    part.name = name;
    return part;
  }

  const std::string& path_;
  FileFinder finder_;
  Table table_;
  Columns columns_;
  std::vector<Entry> entries_;
  std::vector<std::string> notes_, doubts_;
  int64_t missing_ = 0;
  std::string first_missing_;
};

}  // namespace

DataParts read_table(const std::string& path, const TableColumns& columns, bool need_train) {
  return TableReader(path, columns).read(need_train);
}

}  // namespace graft::io
