#include "graft/tools/paired_answers.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/table.h"
#include "graft/tools/output.h"
#include "graft/train/mcnemar.h"

namespace graft::tools {
namespace {

constexpr int64_t kMostTableBytes = int64_t{256} << 20;

struct KnownAnswer {
  std::string truth, said;  // "" where it is not known
};

std::map<std::string, KnownAnswer> answers_in(const std::string& path) {
  const std::string text = read_text_file(path, kMostTableBytes);
  io::Table table = lower_extension(path) == ".jsonl" ? io::parse_json_lines(text, path)
                                                      : io::parse_table(text, path);
  size_t first = 0;
  if (table.names.empty() && !table.rows.empty()) {
    table.names = table.rows[0].fields;
    first = 1;
  }
  const auto column = [&](const char* name) {
    const auto at = std::find(table.names.begin(), table.names.end(), name);
    GRAFT_CHECK(at != table.names.end(), path, ": has no column '", name,
                "'; compare takes runs, or two tables of evaluate --predictions with one "
                "answer an image");
    return static_cast<size_t>(at - table.names.begin());
  };
  const size_t image = column("path"), truth = column("true"), said = column("predicted");
  std::map<std::string, KnownAnswer> answers;
  for (size_t r = first; r < table.rows.size(); ++r) {
    const auto& fields = table.rows[r].fields;
    GRAFT_CHECK(fields.size() > std::max({image, truth, said}), path, ": line ", table.rows[r].line,
                " is cut off");
    GRAFT_CHECK(answers.emplace(fields[image], KnownAnswer{fields[truth], fields[said]}).second,
                path, ": ", printable(fields[image]), " stands there twice");
  }
  return answers;
}

}  // namespace

double PairedAnswers::p_value() const { return train::mcnemar_exact(only_first, only_second); }

bool is_answers_table(const std::string& path) {
  const std::string extension = lower_extension(path);
  return (extension == ".csv" || extension == ".jsonl") && !file_system().is_directory(path);
}

PairedAnswers paired_answers(const std::string& first, const std::string& second) {
  const auto ours = answers_in(first), theirs = answers_in(second);
  PairedAnswers pairs;
  for (const auto& [image, answer] : ours) {
    const auto other = theirs.find(image);
    GRAFT_CHECK(other != theirs.end(), second, ": ", printable(image), " of ", first,
                " is not in it");
    if (answer.truth.empty() || answer.said.empty() || other->second.said.empty()) {
      ++pairs.left_out;
      continue;
    }
    GRAFT_CHECK(answer.truth == other->second.truth, second, ": ", printable(image), " is ",
                printable(other->second.truth), " there and ", printable(answer.truth), " in ",
                first);
    const bool is_right = answer.said == answer.truth,
               is_other = other->second.said == answer.truth;
    ++(is_right ? (is_other ? pairs.both : pairs.only_first)
                : (is_other ? pairs.only_second : pairs.neither));
  }
  GRAFT_CHECK(ours.size() == theirs.size(), first, ": ", second, " has ",
              theirs.size() - ours.size(), " images more");
  return pairs;
}

std::string paired_text(const std::string& first, const std::string& second,
                        const PairedAnswers& pairs) {
  return str("both right ", pairs.both, ", only ", printable(first), " ", pairs.only_first,
             ", only ", printable(second), " ", pairs.only_second, ", neither ", pairs.neither,
             pairs.left_out > 0 ? str(", without an answer ", pairs.left_out) : std::string(),
             "\nMcNemar's exact test, two-sided: p = ", fixed(pairs.p_value(), 6),
             " (as if images were independent: of one patient they are not)\n");
}

std::string paired_json(const std::string& first, const std::string& second,
                        const PairedAnswers& pairs) {
  return nlohmann::ordered_json{
      {"first", printable(first)},        {"second", printable(second)},
      {"both_right", pairs.both},         {"only_first", pairs.only_first},
      {"only_second", pairs.only_second}, {"neither", pairs.neither},
      {"left_out", pairs.left_out},       {"mcnemar_p", pairs.p_value()}}
      .dump();
}

}  // namespace graft::tools
