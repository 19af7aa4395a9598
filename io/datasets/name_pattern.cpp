#include "graft/io/datasets/name_pattern.h"

#include <regex>

#include "graft/core/base/error.h"
#include "graft/core/base/printable.h"

namespace graft::io {
namespace {

// std::regex takes stack for each letter of what it searches.
constexpr size_t kLongestPattern = 1000, kLongestSearched = 4096;

}  // namespace

struct NamePattern::Compiled {
  std::regex regex;
};

NamePattern::NamePattern(const char* flag, const std::string& text) : flag_(flag), text_(text) {
  if (text.size() > kLongestPattern)
    fail(ErrorCode::usage, flag, ": the pattern has ", text.size(), " letters");
  try {
    compiled_ = std::make_shared<Compiled>(Compiled{std::regex(text, std::regex::ECMAScript)});
  } catch (const std::regex_error&) {
    fail(ErrorCode::usage, flag, " ", printable(text), ": is no regular expression (ECMAScript)");
  }
}

size_t NamePattern::groups() const { return compiled_->regex.mark_count(); }

std::optional<std::string> NamePattern::find(const std::string& name) const {
  if (name.size() > kLongestSearched) return std::nullopt;
  std::smatch match;
  try {
    if (!std::regex_search(name, match, compiled_->regex)) return std::nullopt;
  } catch (const std::regex_error&) {
    bad_input(name, ": ", flag_, " ", printable(text_),
              " is too costly to search for in this name");
  }
  return match.size() > 1 ? match[1].str() : match[0].str();
}

}  // namespace graft::io
