#include "graft/io/texts/text_steps.h"

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/base/fork.h"
#include "graft/io/json.h"

namespace graft::io {
namespace {

constexpr const char* kTextsWhat = "how texts are read";
constexpr size_t kMostKnownWords = size_t{1} << 23;

}  // namespace

void TextSteps::validate() const {
  GRAFT_CHECK(tokeniser == kWordTokeniser, kTextsWhat, ": the tokeniser '", tokeniser,
              "' is not known; this graft has ", kWordTokeniser);
  GRAFT_CHECK(length >= 2 && length <= 8192, kTextsWhat, ": length ", length,
              " is not between 2 and 8192 words");
  GRAFT_CHECK(words.size() <= kMostKnownWords, kTextsWhat, ": ", words.size(),
              " words are too many");
}

std::string TextSteps::to_json() const {
  return nlohmann::json{
      {"length", length}, {"tokeniser", tokeniser}, {"vectors", vectors}, {"words", words}}
      .dump();
}

TextSteps TextSteps::from_json(const std::string& text) {
  check_json(text, kTextsWhat);
  try {
    const auto j = nlohmann::json::parse(text);
    TextSteps steps;
    steps.length = json_integer(j, "length", kTextsWhat);
    steps.tokeniser = j.at("tokeniser").get<std::string>();
    steps.vectors = j.at("vectors").get<std::string>();
    steps.words = j.at("words").get<std::vector<std::string>>();
    steps.validate();
    return steps;
  } catch (const nlohmann::json::exception& error) {
    bad_input(kTextsWhat, " cannot be read: ", error.what());
  }
}

TextNumbers::TextNumbers(TextSteps steps) : steps_(std::move(steps)) {
  steps_.validate();
  numbers_.reserve(steps_.words.size());
  for (const std::string& word : steps_.words)
    GRAFT_CHECK(numbers_.emplace(word, kFirstWord + std::ssize(numbers_)).second, kTextsWhat,
                ": the word '", word, "' stands twice in the vocabulary");
}

int64_t TextNumbers::number_of(const std::string& word) const {
  const auto found = numbers_.find(word);
  return found == numbers_.end() ? kUnknownWord : found->second;
}

Words TextNumbers::numbers(std::string_view text, float* out) const {
  Words read = words_of(text, static_cast<size_t>(steps_.length));
  std::fill_n(out, steps_.length, static_cast<float>(kPadding));
  for (const Word& word : read.words) *out++ = static_cast<float>(number_of(word.text));
  return read;
}

std::shared_ptr<const TextNumbers> text_numbers(const std::string& settings) {
  static ForkSafeMutex mutex;
  static std::string last;
  static std::shared_ptr<const TextNumbers> kept;
  {
    const std::lock_guard lock(mutex);
    if (kept && last == settings) return kept;
  }
  auto made = std::make_shared<const TextNumbers>(TextSteps::from_json(settings));
  const std::lock_guard lock(mutex);
  last = settings;
  kept = made;
  return made;
}

}  // namespace graft::io
