// Two tables of answers to the same images (evaluate --predictions): where one model alone is
// right.
#pragma once
#include <cstdint>
#include <string>

namespace graft::tools {

struct PairedAnswers {
  int64_t both = 0, only_first = 0, only_second = 0, neither = 0;
  int64_t left_out = 0;  // images without an answer of both

  double p_value() const;  // McNemar's exact test, two-sided
};

// Whether the path is of such a table rather than of a run.
bool is_answers_table(const std::string& path);
// Paired by path. bad_input naming the file where columns are missing, an image stands twice, is in
// one table only, or has another truth in each.
PairedAnswers paired_answers(const std::string& first, const std::string& second);

// For people, and as a JSON object.
std::string paired_text(const std::string& first, const std::string& second,
                        const PairedAnswers& pairs);
std::string paired_json(const std::string& first, const std::string& second,
                        const PairedAnswers& pairs);

}  // namespace graft::tools
