// A table of images and labels or numbers (CSV, or JSON lines): which columns they are, where the
// files lie, and what is said of it.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/file_dataset.h"
#include "graft/io/datasets/file_finder.h"
#include "graft/io/datasets/label_cells.h"
#include "graft/io/datasets/part_folders.h"
#include "graft/io/datasets/sources.h"
#include "graft/io/datasets/table.h"
#include "graft/io/datasets/table_columns.h"
#include "graft/io/datasets/texts.h"

namespace graft::io {
namespace {

constexpr int64_t kTextLimit = int64_t{256} << 20;

struct Entry {
  int64_t line;
  LabelledFile file;
  std::string answer;               // the cells as they stand
  std::vector<std::string> labels;  // of several_labels
  PartRole role = PartRole::train;
};

class TableReader {
 public:
  TableReader(const std::string& path, const TableColumns& wanted, AnswerKind kind)
      : path_(path), finder_(path, wanted.root), kind_(kind) {
    const std::string text = read_text_file(path, kTextLimit);
    const std::string extension = lower_extension(path);
    const bool is_json = extension == ".jsonl" || extension == ".ndjson";
    table_ = is_json ? parse_json_lines(text, path) : parse_table(text, path);
    GRAFT_CHECK(!table_.rows.empty(), path, ": the table names no images");
    columns_ = find_columns(table_, finder_, wanted, kind, path_);
    GRAFT_CHECK(table_.rows.size() > (columns_.has_header ? 1u : 0u), path,
                ": the table names no images");
    const std::set<std::string> cells = first_answers();
    if (kind_ == AnswerKind::by_form) kind_ = kind_by_form(cells);
    const bool is_one_label_a_column =
        columns_.answers.size() > 1 ||
        std::all_of(cells.begin(), cells.end(),
                    [](const std::string& cell) { return yes_or_no(cell).has_value(); });
    if (kind_ == AnswerKind::several_labels && !is_one_label_a_column) mark_ = joining_mark(cells);
  }

  DataParts read(const PartsWanted& wanted) {
    kind_of_files_ = wanted.files;
    for (size_t r = columns_.has_header ? 1 : 0; r < table_.rows.size(); ++r)
      read_row(table_.rows[r]);
    drop_repeats();
    if (kind_ == AnswerKind::one_label) doubt_one_label();
    say_columns();
    DataParts parts;
    parts.files = wanted.files;
    parts.answers = kind_;
    parts.answers_why = std::move(why_);
    parts.notes = std::move(notes_);
    parts.doubts = std::move(doubts_);
    parts.train = part(PartRole::train, "");
    parts.val = part(PartRole::val, "validation");
    parts.test = part(PartRole::test, "test");
    const DataPart& first = parts.train.dataset ? parts.train : parts.val;
    GRAFT_CHECK(std::ssize(first.classes) >= wanted.least_classes || !wanted.need_train ||
                    kind_ != AnswerKind::one_label,
                path_, ": at least two classes are needed, it has ", first.classes.size());
    return parts;
  }

 private:
  void read_row(const TableRow& row) {
    const size_t last = std::max(
        columns_.image, *std::max_element(columns_.answers.begin(), columns_.answers.end()));
    const bool may_be_empty = (kind_ == AnswerKind::several_labels && mark_ != 0) ||  // no label
                              kind_ == AnswerKind::text;                              // silence
    GRAFT_CHECK(row.fields.size() > last && !row.fields[columns_.image].empty() &&
                    (may_be_empty || !row.fields[columns_.answers[0]].empty()) &&
                    (row.fields.size() == 2 || table_.rows[0].fields.size() != 2),
                path_, ": line ", row.line, " is not \"path,label\"");
    const std::string& name = row.fields[columns_.image];
    GRAFT_CHECK(name.find('\0') == std::string::npos, path_, ": line ", row.line,
                ": a file's name holds a zero byte");
    const std::string found = finder_.find(name);
    Entry entry{row.line, {found.empty() ? finder_.placed(name) : found, name}, {}, {}, {}};
    read_answers(row, entry);
    entry.role = role_of(row);
    if (columns_.group >= 0) {
      const auto c = static_cast<size_t>(columns_.group);
      GRAFT_CHECK(c < row.fields.size() && !row.fields[c].empty(), path_, ": line ", row.line,
                  ": there is no group in ", columns_.shown(c));
      entry.file.group = row.fields[c];
    }
    missing_ += found.empty();
    if (found.empty() && missing_ == 1) first_missing_ = entry.file.path;
    entries_.push_back(std::move(entry));
  }

  void read_answers(const TableRow& row, Entry& entry) const {
    for (const size_t c : columns_.answers) {
      const std::string& cell = row.fields[c];
      entry.answer += (entry.answer.empty() ? "" : ", ") + cell;
      if (kind_ == AnswerKind::text) {
        entry.file.text = clean_text(cell, str(path_, ": line ", row.line));
      } else if (kind_ == AnswerKind::numbers) {
        const std::optional<double> number = number_in(cell);
        GRAFT_CHECK(number.has_value(), path_, ": line ", row.line, ": '", cell, "' in ",
                    columns_.shown(c), " is not a number");
        entry.file.numbers.push_back(*number);
      } else if (kind_ == AnswerKind::several_labels && mark_ != 0) {
        entry.labels = parts_of_cell(cell, mark_);
      } else if (kind_ == AnswerKind::several_labels) {
        const std::optional<bool> yes = yes_or_no(cell);
        GRAFT_CHECK(yes.has_value(), path_, ": line ", row.line, ": '", cell, "' in ",
                    columns_.shown(c), " is neither 0 nor 1");
        if (*yes) entry.labels.push_back(columns_.shown(c));
      }
    }
  }

  // The different cells of the first label column.
  std::set<std::string> first_answers() const {
    std::set<std::string> cells;
    for (size_t r = columns_.has_header ? 1 : 0; r < table_.rows.size(); ++r)
      if (columns_.answers[0] < table_.rows[r].fields.size())
        cells.insert(table_.rows[r].fields[columns_.answers[0]]);
    return cells;
  }

  AnswerKind kind_by_form(const std::set<std::string>& cells) {
    if (columns_.answers.size() > 1) {
      const auto say_yes_or_no = [&](const TableRow& row) {
        return std::all_of(columns_.answers.begin(), columns_.answers.end(), [&](size_t c) {
          return c < row.fields.size() && yes_or_no(row.fields[c]).has_value();
        });
      };
      const bool are_labels = std::all_of(table_.rows.begin() + (columns_.has_header ? 1 : 0),
                                          table_.rows.end(), say_yes_or_no);
      why_ = str(columns_.answers.size(),
                 are_labels ? " label columns hold 0 and 1" : " label columns hold numbers");
      return are_labels ? AnswerKind::several_labels : AnswerKind::numbers;
    }
    if (look_joined(cells, '|')) {
      why_ = columns_.shown(columns_.answers[0]) + " holds lists with | between the labels";
      return AnswerKind::several_labels;
    }
    const auto is_number = [](const std::string& cell) { return number_in(cell).has_value(); };
    const auto is_fraction = [](const std::string& cell) {
      const double number = number_in(cell).value_or(0);
      return number != std::floor(number);
    };
    if (std::all_of(cells.begin(), cells.end(), is_number) &&
        std::any_of(cells.begin(), cells.end(), is_fraction)) {
      why_ = columns_.shown(columns_.answers[0]) + " holds numbers that are not all whole";
      return AnswerKind::numbers;
    }
    return AnswerKind::one_label;
  }

  PartRole role_of(const TableRow& row) const {
    if (columns_.split < 0) return PartRole::train;
    const auto c = static_cast<size_t>(columns_.split);
    const std::string value = c < row.fields.size() ? row.fields[c] : std::string();
    const std::string column = c < columns_.names.size() ? columns_.names[c] : std::string();
    const PartRole role = split_role(column, value);
    GRAFT_CHECK(role != PartRole::none, path_, ": line ", row.line, ": '", value,
                "' is none of train, val and test");
    return role;
  }

  // A photo named twice is one photo. Its lists of labels are put together; under two other answers
  // it is a question that graft cannot answer.
  void drop_repeats() {
    std::map<std::string, size_t> seen;
    std::vector<Entry> kept;
    int64_t repeats = 0, joined = 0;
    for (Entry& entry : entries_) {
      const auto [at, is_first] = seen.emplace(entry.file.path, kept.size());
      if (is_first) {
        kept.push_back(std::move(entry));
        continue;
      }
      Entry& before = kept[at->second];
      GRAFT_CHECK(before.file.group == entry.file.group, path_, ": lines ", before.line, " and ",
                  entry.line, ": ", entry.file.short_name, " stands in two groups (",
                  before.file.group, ", ", entry.file.group, ")");
      if (mark_ != 0 && before.role == entry.role) {
        joined += before.answer != entry.answer;
        before.labels.insert(before.labels.end(), entry.labels.begin(), entry.labels.end());
        continue;
      }
      GRAFT_CHECK(before.answer == entry.answer, path_, ": lines ", before.line, " and ",
                  entry.line, ": ", entry.file.short_name, " stands under two labels (",
                  before.answer, ", ", entry.answer, ")",
                  kind_ == AnswerKind::one_label
                      ? "; an image has one label but with --task multilabel"
                      : "");
      ++repeats;
    }
    if (joined > 0) notes_.push_back(str(joined, " rows add labels to an image of another row"));
    if (repeats > 0) notes_.push_back(str(repeats, " rows repeat others and are read once"));
    entries_ = std::move(kept);
  }

  // "clear primary water": words that come again in other labels.
  void doubt_one_label() {
    std::set<std::string> labels;
    for (const Entry& entry : entries_) labels.insert(entry.answer);
    constexpr size_t kManyNumbers = 30;
    if (labels.size() > kManyNumbers &&
        std::all_of(labels.begin(), labels.end(),
                    [](const std::string& label) { return number_in(label).has_value(); }))
      doubts_.push_back(str("the labels are ", labels.size(),
                            " different numbers, each of them a class; --task regress predicts "
                            "numbers"));
    for (const char separator : {' ', '|', ',', ';'}) {
      if (!look_joined(labels, separator)) continue;
      doubts_.push_back(str("labels such as '",
                            *std::find_if(labels.begin(), labels.end(),
                                          [&](const std::string& label) {
                                            return label.find(separator) != std::string::npos;
                                          }),
                            "' look like several labels in one; each of the ", labels.size(),
                            " combinations is a class (--task multilabel reads them as several)"));
      return;
    }
  }

  void say_columns() {
    std::vector<std::string> answers;
    for (const size_t c : columns_.answers) answers.push_back(columns_.shown(c));
    const std::string split =
        columns_.split >= 0 ? columns_.shown(static_cast<size_t>(columns_.split)) : "";
    const bool is_plain =
        columns_.shown(columns_.image) == "path" && answers.size() == 1 && answers[0] == "label";
    if (!columns_.names.empty() && !is_plain)
      notes_.push_back(str("images from ", columns_.shown(columns_.image),
                           kind_ == AnswerKind::numbers ? ", numbers from "
                           : kind_ == AnswerKind::text  ? ", texts from "
                                                        : ", labels from ",
                           short_list(answers), split.empty() ? "" : ", parts from " + split));
    else if (!split.empty())
      notes_.push_back("parts from " + split);
    if (columns_.group >= 0)
      notes_.push_back("groups from " + columns_.shown(static_cast<size_t>(columns_.group)));
    if (mark_ != 0)
      notes_.push_back(mark_ == ' ' ? std::string("labels of an image have blanks between them")
                                    : str("labels of an image have ", mark_, " between them"));
    if (!finder_.elsewhere().empty())
      notes_.push_back(str("paths of another folder or machine: what begins with ",
                           finder_.elsewhere(), " is read from ", finder_.root()));
    if (missing_ > 0)
      notes_.push_back(str(missing_, missing_ == 1 ? " file is" : " files are",
                           " not there; the first: ", first_missing_));
  }

  // What the answers of a part are called: its labels, sorted, or the columns.
  std::vector<std::string> names_of(PartRole role) const {
    std::vector<std::string> names;
    if (kind_ == AnswerKind::numbers || (kind_ == AnswerKind::several_labels && mark_ == 0)) {
      for (const size_t c : columns_.answers) names.push_back(columns_.shown(c));
      return names;
    }
    std::set<std::string> sorted;
    for (const Entry& entry : entries_) {
      if (entry.role != role) continue;
      if (kind_ == AnswerKind::one_label)
        sorted.insert(entry.answer);
      else
        sorted.insert(entry.labels.begin(), entry.labels.end());
    }
    names.assign(sorted.begin(), sorted.end());
    return names;
  }

  DataPart part(PartRole role, const char* name) const {
    DataPart part;
    part.classes = names_of(role);
    std::map<std::string, int64_t> place;
    for (size_t c = 0; c < part.classes.size(); ++c)
      place.emplace(part.classes[c], static_cast<int64_t>(c));
    std::vector<LabelledFile> files;
    for (const Entry& entry : entries_) {
      if (entry.role != role) continue;
      LabelledFile file = entry.file;
      if (kind_ == AnswerKind::one_label) file.label = place.at(entry.answer);
      if (kind_ == AnswerKind::several_labels) {
        std::set<int64_t> labels;
        for (const std::string& label : entry.labels) labels.insert(place.at(label));
        file.labels.emplace(labels.begin(), labels.end());
      }
      files.push_back(std::move(file));
    }
    if (files.empty()) return {};
    if (kind_ == AnswerKind::text) {
      part = text_part(std::move(files), kind_of_files_);
      part.name = name;
      return part;
    }
    GRAFT_CHECK(!part.classes.empty(), path_, ": no image has a label");
    part.dataset = file_dataset(std::move(files), kind_of_files_);
    part.name = name;
    return part;
  }

  const std::string& path_;
  FileFinder finder_;
  AnswerKind kind_;
  FileKind kind_of_files_{};
  char mark_ = 0;    // between the labels of a cell; 0: a cell is one answer
  std::string why_;  // of what by_form was taken for
  Table table_;
  Columns columns_;
  std::vector<Entry> entries_;
  std::vector<std::string> notes_, doubts_;
  int64_t missing_ = 0;
  std::string first_missing_;
};

}  // namespace

DataParts read_table(const std::string& path, const TableColumns& columns,
                     const PartsWanted& wanted) {
  return TableReader(path, columns, wanted.answers).read(wanted);
}

}  // namespace graft::io
