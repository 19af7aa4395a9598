// Files of word vectors: every format, what is kept of them, and what is none.
#include "graft/io/texts/vectors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "graft/core/base/error.h"
#include "graft/tests/support/command.h"

namespace graft::io {
namespace {

class Vectors : public testing::Test {
 protected:
  WordVectors read(const std::string& content, VectorsWanted wanted = {.first = 100}) {
    write_text(folder / "v", content);
    return read_vectors(folder / "v", wanted);
  }
  std::string refusal(const std::string& content) {
    try {
      read(content);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      std::string said = error.what();
      const std::string path = folder / "v";
      EXPECT_TRUE(said.starts_with(path)) << said;
      return said.substr(path.size());
    }
    ADD_FAILURE() << content << " was read";
    return "";
  }
  TemporaryFolder folder;
};

using Strings = std::vector<std::string>;
using Floats = std::vector<float>;

TEST_F(Vectors, GloVeText) {
  const WordVectors v = read("the 0.5 -1e-2 +3\n. . 1 2 3\ncaf\xc3\xa9 4 5 6");
  EXPECT_EQ(v.format, "GloVe text");
  EXPECT_EQ(v.width, 3);
  EXPECT_EQ(v.words_in_file, 3);
  EXPECT_EQ(v.words, (Strings{"the", ". .", "caf\xc3\xa9"})) << "a word may hold blanks";
  EXPECT_EQ(v.values, (Floats{0.5f, -0.01f, 3, 1, 2, 3, 4, 5, 6}));
}

TEST_F(Vectors, Word2vecTextAndFastText) {
  const WordVectors v = read("2 3\nthe 1 2 3 \r\nof 4 5 6 \r\n");
  EXPECT_EQ(v.format, "word2vec text");
  EXPECT_EQ(v.words, (Strings{"the", "of"}));
  EXPECT_EQ(v.values, (Floats{1, 2, 3, 4, 5, 6}));
}

TEST_F(Vectors, Word2vecBinary) {
  std::string content = "2 3\n";
  const float numbers[] = {1.5f, -2, 1e-9f, 4, 5, 6};
  std::string bytes(sizeof numbers, '\0');
  std::memcpy(bytes.data(), numbers, sizeof numbers);
  for (const std::string& end : {std::string("\n"), std::string()}) {  // both are written
    const WordVectors v =
        read(content + "the " + bytes.substr(0, 12) + end + "New_York " + bytes.substr(12) + end);
    EXPECT_EQ(v.format, "word2vec binary");
    EXPECT_EQ(v.words, (Strings{"the", "new_york"}));
    EXPECT_EQ(v.values, Floats(numbers, numbers + 6));
  }
  EXPECT_EQ(refusal(content + "the " + bytes.substr(0, 12) + "of " + bytes.substr(12, 7)),
            ": is cut off within word 2 of 2");
  EXPECT_EQ(refusal(content + "the " + bytes.substr(0, 12)),
            ": its first line says 2 words, it holds 1: is it cut off?");
}

TEST_F(Vectors, OnlyWantedWordsAreKeptAndSmallLettersCountFirst) {
  const auto wants = [](std::string_view word) { return word == "film" || word == "us"; };
  const std::string file = "the 1\nof 2\nUS 3\nFilm 4\nus 5\nfilm 6\nFILM 7\nplot 8\n";
  WordVectors v = read(file, {.wants = wants});
  EXPECT_EQ(v.words, (Strings{"us", "film"}));
  EXPECT_EQ(v.values, (Floats{5, 6}));
  EXPECT_EQ(v.words_in_file, 8);
  v = read(file, {.wants = wants, .first = 1});
  EXPECT_EQ(v.words, (Strings{"the", "us", "film"}));
  v = read("Only 1\nONLY 2\n", {.first = 2});
  EXPECT_EQ(v.words, Strings{"only"});
  EXPECT_EQ(v.values, Floats{1});
}

TEST_F(Vectors, WhatIsNoneIsSaidInOneSentence) {
  EXPECT_EQ(refusal(""), ": is empty; a file of word vectors is needed");
  EXPECT_EQ(refusal("\x1f\x8b and more"), ": is compressed; graft reads word vectors unpacked");
  EXPECT_EQ(refusal(std::string("\xba\x16\x4f\x2f\x0c", 5)),
            ": is a model of fastText; its .vec file is needed");
  EXPECT_EQ(refusal("just some words\n"),
            ": line 1 is not a word and 1 to 4096 numbers; this is no file of word vectors");
  EXPECT_EQ(refusal("the 1 2 3\nof 4 5\n"), ": line 2 is not a word and 3 numbers");
  EXPECT_EQ(refusal("the 1 2 3\nof 4 x 6\n"), ": line 2: 'x' is no finite number");
  EXPECT_EQ(refusal("the 1 2 3\nof 4 nan 6\n"), ": line 2: 'nan' is no finite number");
  EXPECT_EQ(refusal("3 3\nthe 1 2 3\n"),
            ": its first line says 3 words, it holds 1: is it cut off?");
  EXPECT_EQ(refusal("1 5000\nthe 1\n"),
            ": its first line says 1 vectors of 5000 numbers; 1 to 4096 are read");
  EXPECT_NE(refusal("the 1\n" + std::string(300000, 'a')).find("line 2 has more than 262144 bytes"),
            std::string::npos);
  EXPECT_NE(refusal("99999999999 300\n" + std::string(100, '\xfe')).find("has no end"),
            std::string::npos);
}

}  // namespace
}  // namespace graft::io
