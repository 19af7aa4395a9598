#include "graft/tools/column_flags.h"

#include <CLI/CLI.hpp>

namespace graft::tools {

void add_column_flags(CLI::App& verb, io::TableColumns& columns) {
  verb.add_option("--image-column,--text-column", columns.image,
                  "Of a table: the column of the images or texts, its name or number from 1 "
                  "(default: the one that names files; of texts one called text, sentence, ... or "
                  "the longest)")
      ->type_name("COLUMN");
  verb.add_option("--label-column", columns.label,
                  "Of a table: the column of the labels (default: the one that is left, or is "
                  "named label, class, ...)")
      ->type_name("COLUMN");
  verb.add_option("--split-column", columns.split,
                  "Of a table: the column that says train, val or test (default: one named split, "
                  "set, is_valid, ... that does)")
      ->type_name("COLUMN");
  verb.add_option("--root", columns.root,
                  "The folder that a table's paths start from (default: the table's own)")
      ->type_name("FOLDER");
  verb.add_option(
          "--label-pattern", columns.label_pattern,
          "Of a folder: files' names say their labels: a regular expression that is searched "
          "for in the paths below the folder, its group 1 being the label")
      ->type_name("REGEX");
  verb.add_option("--val-pattern", columns.val_pattern,
                  "Files whose paths below the folder have this regular expression are the "
                  "validation part, of data without one")
      ->type_name("REGEX");
}

void add_group_flags(CLI::App& verb, io::TableColumns& columns, std::string& pattern) {
  verb.add_option(
          "--group-column", columns.group,
          "Of a table: the column of what images belong to (a patient, a speaker); no group "
          "is split")
      ->type_name("COLUMN");
  verb.add_option("--group-pattern", pattern,
                  "The same by the files' paths: a regular expression, whose first parentheses "
                  "hold the group, e.g. 'patient([0-9]+)'")
      ->type_name("REGEX");
}

std::vector<std::string> column_words(const io::TableColumns& columns) {
  std::vector<std::string> words;
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) words.insert(words.end(), {flag, value});
  };
  add("--image-column", columns.image);
  add("--label-column", columns.label);
  add("--split-column", columns.split);
  add("--root", columns.root);
  add("--label-pattern", columns.label_pattern);
  add("--val-pattern", columns.val_pattern);
  return words;
}

}  // namespace graft::tools
