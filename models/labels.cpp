#include "graft/models/labels.h"

#include <cstdint>
#include <map>
#include <optional>

namespace graft::models {
namespace {

constexpr size_t kMostClasses = 1'000'000;

// A list or dictionary of texts, with either kind of quotes.
class Literal {
 public:
  explicit Literal(const std::string& text) : text_(text) {}

  std::optional<std::map<int64_t, std::string>> read() {
    std::map<int64_t, std::string> names;
    const char open = next();
    const bool is_list = open == '[' || open == '(';
    if (!is_list && open != '{') return std::nullopt;
    const char close = open == '[' ? ']' : open == '(' ? ')' : '}';
    for (char c = peek(); c != close; c = peek()) {
      std::optional<int64_t> key = is_list ? std::ssize(names) : number();
      if (!key || (!is_list && next() != ':')) return std::nullopt;
      const std::optional<std::string> name = quoted();
      if (!name || names.size() > kMostClasses || !names.emplace(*key, *name).second)
        return std::nullopt;
      if (peek() == ',') next();
    }
    next();
    if (peek() != '\0') return std::nullopt;
    return names;
  }

 private:
  char peek() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  char next() {
    const char c = peek();
    ++at_;
    return c;
  }
  std::optional<int64_t> number() {
    const bool in_quotes = peek() == '"' || peek() == '\'';
    const char quote = in_quotes ? next() : '\0';
    int64_t value = 0;
    size_t digits = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && digits < 9; ++digits)
      value = value * 10 + (text_[at_++] - '0');
    if (digits == 0 || (in_quotes && next() != quote)) return std::nullopt;
    return value;
  }
  std::optional<std::string> quoted() {
    const char quote = next();
    if (quote != '"' && quote != '\'') return std::nullopt;
    std::string name;
    for (; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      name += text_[at_];
    }
    if (at_++ >= text_.size()) return std::nullopt;
    return name;
  }

  const std::string& text_;
  size_t at_ = 0;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
    at = end + 1;
  }
  return lines;
}

}  // namespace

std::vector<std::string> labels_from_text(const std::string& text) {
  const size_t first = text.find_first_not_of(" \r\n\t");
  if (first == std::string::npos) return {};
  if (text[first] != '[' && text[first] != '{' && text[first] != '(') return lines_of(text);
  std::vector<std::string> labels;
  const auto names = Literal(text).read();
  if (!names) return {};
  for (const auto& [number, name] : *names) {
    if (number != std::ssize(labels)) return {};
    labels.push_back(name);
  }
  return labels;
}

}  // namespace graft::models
