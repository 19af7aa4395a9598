// NamePattern: a user's regular expression, searched for in the names of files.
#pragma once
#include <memory>
#include <optional>
#include <string>

namespace graft::io {

class NamePattern {
 public:
  // text: ECMAScript. flag: as sentences name it. Error(usage) for a text that is no regular
  // expression or has more than 1,000 letters.
  NamePattern(const char* flag, const std::string& text);

  // How many parentheses it has.
  size_t groups() const;
  // What its first parentheses find in a name, or where it has none the whole match; nothing where
  // it is not found, and in a name of more than 4,096 letters. Error(bad_input) where the search
  // would cost too much.
  std::optional<std::string> find(const std::string& name) const;

 private:
  struct Compiled;
  const char* flag_;
  std::string text_;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace graft::io
