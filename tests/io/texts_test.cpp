// Texts: UTF-8 and its faults, what code points are, the tokeniser of words against Kim's rules,
// numbers of words.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/texts/text_steps.h"
#include "graft/io/texts/unicode.h"

namespace graft::io {
namespace {

std::vector<uint32_t> codes_of(std::string_view text) {
  std::vector<uint32_t> codes;
  for (size_t at = 0; at < text.size();) codes.push_back(next_code(text, at));
  return codes;
}

std::vector<std::string> texts_of(const Words& words) {
  std::vector<std::string> texts;
  for (const Word& word : words.words) texts.push_back(word.text);
  return texts;
}

TEST(Unicode, ReadsUtf8AndAnswersWhatIsNone) {
  EXPECT_EQ(codes_of("a\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80"),
            (std::vector<uint32_t>{'a', 0xe9, 0x4e2d, 0x1f600}));
  const uint32_t r = kReplacement;
  // As Python's bytes.decode("utf-8", "replace").
  EXPECT_EQ(codes_of("\xff\xfe"), (std::vector<uint32_t>{r, r}));
  EXPECT_EQ(codes_of("\xc0\x80"), (std::vector<uint32_t>{r, r})) << "overlong";
  EXPECT_EQ(codes_of("\xed\xa0\x80"), (std::vector<uint32_t>{r, r, r})) << "a surrogate";
  EXPECT_EQ(codes_of("\xf4\x90\x80\x80"), (std::vector<uint32_t>{r, r, r, r})) << "too large";
  EXPECT_EQ(codes_of("\xe4\xb8"), (std::vector<uint32_t>{r})) << "cut";
  EXPECT_EQ(codes_of("\xe4\xb8x"), (std::vector<uint32_t>{r, 'x'}));
  EXPECT_EQ(codes_of("\xf0\x9f\x98"), (std::vector<uint32_t>{r}));
  EXPECT_EQ(count_broken("caf\xe9 caf\xc3\xa9 \xef\xbf\xbd"), 1) << "U+FFFD itself is whole";
  for (const uint32_t code : {0x24u, 0xa2u, 0x939u, 0x20acu, 0x10348u}) {
    std::string text;
    append_utf8(text, code);
    EXPECT_EQ(codes_of(text), std::vector<uint32_t>{code});
  }
}

TEST(Unicode, KnowsKindsSmallLettersAndParts) {
  EXPECT_EQ(kind_of('a'), CodeKind::letter);
  EXPECT_EQ(kind_of('7'), CodeKind::letter);
  EXPECT_EQ(kind_of(0x4e2d), CodeKind::letter);
  EXPECT_EQ(kind_of(0x3000), CodeKind::space);
  EXPECT_EQ(kind_of('\n'), CodeKind::space);
  EXPECT_EQ(kind_of(0x200d), CodeKind::control);
  EXPECT_EQ(kind_of(0xe000), CodeKind::control) << "of private use";
  EXPECT_EQ(kind_of(0x378), CodeKind::letter) << "not assigned";
  EXPECT_EQ(kind_of(0x301), CodeKind::mark);
  EXPECT_EQ(kind_of(0x3002), CodeKind::punctuation);
  EXPECT_EQ(kind_of(0x1f600), CodeKind::symbol);
  EXPECT_EQ(lower_code('Z'), uint32_t{'z'});
  EXPECT_EQ(lower_code(0xc9), 0xe9u);
  EXPECT_EQ(lower_code(0x100), 0x101u);
  EXPECT_EQ(lower_code(0x101), 0x101u);
  EXPECT_EQ(lower_code(0x416), 0x436u);
  EXPECT_EQ(lower_code(0x1e9e), 0xdfu);
  EXPECT_EQ(lower_code(0x130), 0x130u) << "its small form has two code points";
  std::u32string parts;
  append_parts(parts, 0x1ea4);  // A with circumflex and acute
  append_parts(parts, 0xd55c);  // a syllable of Hangul
  append_parts(parts, 'x');
  EXPECT_EQ(parts, (std::u32string{'A', 0x302, 0x301, 0x1112, 0x1161, 0x11ab, 'x'}));
}

TEST(Unicode, TextsOfOtherEncodingsAreRefused) {
  EXPECT_EQ(text_of("\xef\xbb\xbfhello", "f"), "hello");
  try {
    text_of("\xff\xfeh\0", "f.txt");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "f.txt: is text of UTF-16 or UTF-32; graft reads UTF-8");
  }
}

// Goldens of tests/golden/texts.py.
TEST(Words, AreKimsForAscii) {
  const auto rows =
      nlohmann::json::parse(read_text_file(GRAFT_TEST_DATA "/texts/words.json", 1 << 20));
  ASSERT_GE(rows.size(), 400u);
  for (const auto& row : rows) {
    const auto text = row[0].get<std::string>();
    EXPECT_EQ(texts_of(words_of(text, 1000)), row[1].get<std::vector<std::string>>()) << text;
  }
}

TEST(Words, AreOfAnyLanguageAndSayWhereTheyStand) {
  EXPECT_EQ(texts_of(words_of("L\xe2\x80\x99\xc3\x89T\xc3\x89 d'\xc3\xa9t\xc3\xa9!", 10)),
            (std::vector<std::string>{"l'\xc3\xa9t\xc3\xa9", "d'\xc3\xa9t\xc3\xa9", "!"}));
  EXPECT_EQ(texts_of(words_of("\xe7\x94\xb5\xe5\xbd\xb1 good\xe3\x80\x82", 10)),
            (std::vector<std::string>{"\xe7\x94\xb5", "\xe5\xbd\xb1", "good", "\xe3\x80\x82"}));
  EXPECT_EQ(texts_of(words_of("great\xf0\x9f\x98\x80\xef\xb8\x8f film", 10)),
            (std::vector<std::string>{"great", "\xf0\x9f\x98\x80", "film"}))
      << "an emoji is a word, its variant's mark is none";
  EXPECT_EQ(texts_of(words_of("ab\xff"
                              "cd",
                              10)),
            (std::vector<std::string>{"ab", "cd"}));
  const Words words = words_of("It's  GOOD", 10);
  ASSERT_EQ(words.words.size(), 3u);
  EXPECT_EQ(words.words[1].text, "'s");
  EXPECT_EQ(words.words[1].begin, 2u);
  EXPECT_EQ(words.words[1].end, 4u);
  EXPECT_EQ(words.words[2].begin, 6u);
  EXPECT_EQ(words.words[2].end, 10u);
  EXPECT_TRUE(words_of(" \t--\xff", 10).words.empty());
}

TEST(Words, AreBounded) {
  const Words cut = words_of("one two three four", 3);
  EXPECT_EQ(texts_of(cut), (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_TRUE(cut.is_cut);
  EXPECT_FALSE(words_of("one two three", 3).is_cut);
  const Words one = words_of(std::string(10 << 20, 'a'), 10);
  ASSERT_EQ(one.words.size(), 1u);
  EXPECT_EQ(one.words[0].text, std::string(100, 'a')) << "the rest of it is dropped";
  EXPECT_EQ(one.words[0].end, size_t{10} << 20);
}

TEST(TextSteps, GiveNumbersAndAreKeptInCards) {
  TextSteps steps;
  steps.length = 6;
  steps.vectors = "some.txt, GloVe text";
  steps.words = {"good", "film", "!"};
  const TextNumbers numbers(TextSteps::from_json(steps.to_json()));
  EXPECT_EQ(numbers.steps().to_json(), steps.to_json());
  std::vector<float> out(6, -1);
  EXPECT_EQ(numbers.numbers("A good FILM!", out.data()).words.size(), 4u);
  EXPECT_EQ(out, (std::vector<float>{1, 2, 3, 4, 0, 0}));
  EXPECT_TRUE(numbers.numbers("film film film film film film good", out.data()).is_cut);
  EXPECT_EQ(out, (std::vector<float>{3, 3, 3, 3, 3, 3}));
}

TEST(TextSteps, DamagedOnesAreRefused) {
  const auto refused = [](const std::string& json) {
    try {
      TextNumbers numbers(TextSteps::from_json(json));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return std::string(error.what());
    }
    ADD_FAILURE() << json;
    return std::string();
  };
  EXPECT_NE(refused("{}").find("how texts are read"), std::string::npos);
  EXPECT_NE(refused(R"({"length":6,"tokeniser":"words 9","vectors":"","words":[]})")
                .find("the tokeniser 'words 9' is not known; this graft has words 1"),
            std::string::npos);
  EXPECT_NE(
      refused(R"({"length":1e9,"tokeniser":"words 1","vectors":"","words":[]})").find("length"),
      std::string::npos);
  EXPECT_NE(refused(R"({"length":9000,"tokeniser":"words 1","vectors":"","words":[]})")
                .find("not between 2 and 8192"),
            std::string::npos);
  EXPECT_NE(refused(R"({"length":6,"tokeniser":"words 1","vectors":"","words":["a","a"]})")
                .find("'a' stands twice"),
            std::string::npos);
  EXPECT_NE(refused(R"({"length":6,"tokeniser":"words 1","vectors":"","words":[3]})")
                .find("cannot be read"),
            std::string::npos);
}

}  // namespace
}  // namespace graft::io
