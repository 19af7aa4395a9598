#include "graft/io/texts/vectors.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/printable.h"
#include "graft/io/texts/unicode.h"

namespace graft::io {
namespace {

constexpr size_t kBlock = size_t{1} << 20;
constexpr size_t kMostLine = size_t{1} << 18;  // bytes; 4096 numbers of 60 characters
constexpr size_t kMostWord = 2000;             // bytes
constexpr int64_t kMostWidth = 4096;
constexpr size_t kMostKept = size_t{1} << 29;  // numbers

// A file from its beginning, in blocks.
class Blocks {
 public:
  explicit Blocks(const std::string& path) : file_(file_system().open_read(path)) {
    size_ = file_->size();
  }
  // At least `bytes` from here, fewer at the end.
  std::string_view ahead(size_t bytes) {
    if (held_.size() - at_ < bytes && offset_ < size_) refill(bytes);
    return std::string_view(held_).substr(at_);
  }
  void skip(size_t bytes) { at_ += bytes; }
  bool is_at_end() { return ahead(1).empty(); }

 private:
  void refill(size_t bytes) {
    held_.erase(0, at_);
    at_ = 0;
    while (held_.size() < bytes && offset_ < size_) {
      const auto count = static_cast<size_t>(
          std::min<int64_t>(size_ - offset_, static_cast<int64_t>(std::max(kBlock, bytes))));
      const size_t before = held_.size();
      held_.resize(before + count);
      file_->read_at(offset_, std::as_writable_bytes(std::span(held_).subspan(before)));
      offset_ += static_cast<int64_t>(count);
    }
  }
  std::unique_ptr<File> file_;
  int64_t size_ = 0, offset_ = 0;
  std::string held_;
  size_t at_ = 0;
};

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view without_end_blanks(std::string_view line) {
  while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
  return line;
}

// Takes the last field off a line.
std::string_view take_last(std::string_view& line) {
  size_t begin = line.size();
  while (begin > 0 && !is_blank(line[begin - 1])) --begin;
  const std::string_view field = line.substr(begin);
  line = without_end_blanks(line.substr(0, begin));
  return field;
}

std::optional<float> number_of(std::string_view field) {
  float value = 0;
  if (!field.empty() && field[0] == '+') field.remove_prefix(1);
  const auto read = std::from_chars(field.data(), field.data() + field.size(), value);
  if (read.ptr != field.data() + field.size()) return std::nullopt;
  if (read.ec == std::errc::result_out_of_range) return 0.0f;  // smaller or larger than floats go
  if (read.ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<int64_t> count_of(std::string_view field) {
  int64_t value = 0;
  const auto read = std::from_chars(field.data(), field.data() + field.size(), value);
  if (read.ec != std::errc() || read.ptr != field.data() + field.size()) return std::nullopt;
  return value;
}

std::string in_small_letters(std::string_view word) {
  std::string lower;
  for (size_t at = 0; at < word.size();) {
    const size_t before = at;
    const uint32_t code = next_code(word, at);
    if (code == kReplacement)
      lower += word.substr(before, at - before);
    else
      append_utf8(lower, lower_code(code));
  }
  return lower;
}

class VectorReader {
 public:
  VectorReader(const std::string& path, const VectorsWanted& wanted)
      : path_(path), wanted_(wanted), blocks_(path) {}

  WordVectors read() {
    const std::string_view head = blocks_.ahead(kMostLine);
    GRAFT_CHECK(!head.empty(), path_, ": is empty; a file of word vectors is needed");
    GRAFT_CHECK(!head.starts_with("\x1f\x8b") && !head.starts_with("PK\x03\x04"), path_,
                ": is compressed; graft reads word vectors unpacked");
    GRAFT_CHECK(!head.starts_with(std::string_view("\xba\x16\x4f\x2f", 4)), path_,
                ": is a model of fastText; its .vec file is needed");
    if (head.starts_with("\xef\xbb\xbf")) blocks_.skip(3);
    if (read_header()) {
      if (is_binary())
        read_binary();
      else
        read_text("word2vec text");
      GRAFT_CHECK(made_.words_in_file == declared_, path_, ": its first line says ", declared_,
                  " words, it holds ", made_.words_in_file, ": is it cut off?");
    } else {
      read_text("GloVe text");
    }
    return std::move(made_);
  }

 private:
  // "400000 300".
  bool read_header() {
    std::string_view line = blocks_.ahead(kMostLine);
    const size_t length = std::min(line.find('\n'), line.size());
    std::string_view rest = without_end_blanks(line.substr(0, length));
    const auto width = count_of(take_last(rest)), count = count_of(rest);
    if (!width || !count) return false;
    GRAFT_CHECK(*count >= 1 && *width >= 1 && *width <= kMostWidth, path_, ": its first line says ",
                *count, " vectors of ", *width, " numbers; 1 to ", kMostWidth, " are read");
    made_.width = *width;
    declared_ = *count;
    blocks_.skip(std::min(length + 1, line.size()));
    return true;
  }

  // Behind the first word stand no numbers as text.
  bool is_binary() {
    const std::string_view record = blocks_.ahead(kMostLine);
    const size_t space = record.find(' ');
    if (space == std::string_view::npos || space > kMostWord) return true;
    const std::string_view numbers =
        record.substr(space, std::min(record.find('\n', space), record.size()) - space);
    return !std::all_of(numbers.begin(), numbers.end(), [](char c) {
      return is_blank(c) || (c >= '0' && c <= '9') || std::strchr("+-.eEnaifNAIF", c) != nullptr;
    }) || numbers.find('\0') != std::string_view::npos;
  }

  void read_text(const char* format) {
    made_.format = format;
    std::vector<float> values;
    for (; !blocks_.is_at_end(); ++line_) {
      const std::string_view ahead = blocks_.ahead(kMostLine);
      const size_t length = std::min(ahead.find('\n'), ahead.size());
      GRAFT_CHECK(length < kMostLine, path_, ": line ", line_, " has more than ", kMostLine,
                  " bytes; a file of word vectors has a word and its numbers on each");
      text_line(without_end_blanks(ahead.substr(0, length)), values);
      blocks_.skip(std::min(length + 1, ahead.size()));
    }
    GRAFT_CHECK(made_.words_in_file > 0, path_, ": holds no word vectors");
  }

  void text_line(std::string_view line, std::vector<float>& values) {
    if (line.empty()) return;
    if (made_.width == 0) find_width(line);
    std::string_view word = line;
    values.assign(static_cast<size_t>(made_.width), 0);
    const bool all = made_.words_in_file == 0;  // the first line is looked at whole
    std::vector<std::string_view> fields(static_cast<size_t>(made_.width));
    for (size_t i = fields.size(); i-- > 0;) {
      fields[i] = take_last(word);
      GRAFT_CHECK(!fields[i].empty() && !word.empty(), path_, ": line ", line_,
                  " is not a word and ", made_.width, " numbers");
    }
    ++made_.words_in_file;
    const std::string lower = in_small_letters(word);
    if (!is_kept(lower) && !all) return;
    for (size_t i = 0; i < fields.size(); ++i) {
      const auto value = number_of(fields[i]);
      GRAFT_CHECK(value && std::isfinite(*value), path_, ": line ", line_, ": '",
                  printable(fields[i].substr(0, 40)), "' is no finite number");
      values[i] = *value;
    }
    keep(lower, word, values.data());
  }

  // The numbers at the first line's end, but at least one field is the word.
  void find_width(std::string_view line) {
    std::string_view rest = line;
    while (true) {
      const std::string_view field = take_last(rest);
      if (rest.empty() || !number_of(field)) break;
      ++made_.width;
    }
    GRAFT_CHECK(made_.width >= 1 && made_.width <= kMostWidth, path_, ": line ", line_,
                " is not a word and 1 to ", kMostWidth,
                " numbers; this is no file of word vectors");
  }

  void read_binary() {
    made_.format = "word2vec binary";
    const size_t bytes = static_cast<size_t>(made_.width) * sizeof(float);
    std::vector<float> values(static_cast<size_t>(made_.width));
    while (made_.words_in_file < declared_ && !blocks_.is_at_end()) {
      const std::string_view record = blocks_.ahead(kMostWord + bytes + 2);
      const size_t begin = record.find_first_not_of('\n');
      if (begin == std::string_view::npos) return;
      ++made_.words_in_file;
      const size_t space = record.find(' ', begin);
      GRAFT_CHECK(space != std::string_view::npos && space - begin <= kMostWord, path_, ": word ",
                  made_.words_in_file, " has no end: is this word2vec's binary format?");
      GRAFT_CHECK(record.size() - space - 1 >= bytes, path_, ": is cut off within word ",
                  made_.words_in_file, " of ", declared_);
      const std::string word(record.substr(begin, space - begin));
      if (const std::string lower = in_small_letters(word); is_kept(lower)) {
        std::memcpy(values.data(), record.data() + space + 1, bytes);
        for (const float value : values)
          GRAFT_CHECK(std::isfinite(value), path_, ": the vector of '", printable(word),
                      "' is not finite");
        keep(lower, word, values.data());
      }
      blocks_.skip(space + 1 + bytes);
    }
  }

  bool is_kept(const std::string& lower) const {
    return made_.words_in_file <= wanted_.first || (wanted_.wants && wanted_.wants(lower));
  }

  void keep(const std::string& lower, std::string_view word, const float* values) {
    if (lower.empty() || !is_kept(lower)) return;
    const auto width = static_cast<size_t>(made_.width);
    const auto [at, is_new] = places_.try_emplace(lower, Place{made_.words.size(), false});
    if (is_new) {
      GRAFT_CHECK(made_.values.size() + width <= kMostKept, path_, ": more than ", kMostKept,
                  " numbers of it would be kept");
      made_.words.push_back(lower);
      made_.values.insert(made_.values.end(), values, values + width);
    } else if (!at->second.is_exact && lower == word) {
      std::copy_n(values, width,
                  made_.values.begin() + static_cast<std::ptrdiff_t>(at->second.row * width));
    }
    at->second.is_exact = at->second.is_exact || lower == word;
  }

  struct Place {
    size_t row;
    bool is_exact;  // the file's word has no capitals
  };
  const std::string& path_;
  const VectorsWanted& wanted_;
  Blocks blocks_;
  WordVectors made_;
  int64_t declared_ = 0, line_ = 1;
  std::unordered_map<std::string, Place> places_;
};

}  // namespace

WordVectors read_vectors(const std::string& path, const VectorsWanted& wanted) {
  return VectorReader(path, wanted).read();
}

}  // namespace graft::io
