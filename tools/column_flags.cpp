#include "graft/tools/column_flags.h"

#include <CLI/CLI.hpp>

namespace graft::tools {

void add_column_flags(CLI::App& verb, io::TableColumns& columns) {
  verb.add_option("--image-column", columns.image,
                  "Of a table: the column of the images, its name or number from 1 (default: the "
                  "one that names files)")
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
  return words;
}

}  // namespace graft::tools
