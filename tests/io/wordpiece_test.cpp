// WordPiece against Hugging Face's tokeniser: tests/golden/wordpiece.py wrote what it gives.
#include "graft/io/texts/wordpiece.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"

namespace graft::io {
namespace {

TEST(WordPieces, AreHuggingFaces) {
  const std::string vocabulary = read_text_file(GRAFT_TEST_DATA "/texts/vocab.txt", 1 << 20);
  const auto rows =
      nlohmann::json::parse(read_text_file(GRAFT_TEST_DATA "/texts/wordpiece.json", 1 << 20));
  ASSERT_GE(rows.size(), 500u);
  for (const bool lower : {true, false}) {
    const WordPieces pieces(vocabulary, "vocab.txt", lower);
    for (const auto& row : rows)
      EXPECT_EQ(pieces.numbers(row[0].get<std::string>()),
                row[1][lower ? 0 : 1].get<std::vector<int64_t>>())
          << row[0].dump(-1, ' ', true) << (lower ? " in small letters" : "");
  }
}

TEST(WordPieces, WhatIsNoVocabularyIsRefused) {
  const auto refused = [](const std::string& text) {
    try {
      WordPieces(text, "v", true);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    ADD_FAILURE() << text;
    return std::string();
  };
  EXPECT_EQ(refused("a\nb\n"), "v: has no token [UNK]; this is no vocab.txt");
  EXPECT_EQ(refused("[UNK]\na\na\n"), "v: line 3: the token 'a' stands twice");
  EXPECT_NE(refused(std::string(2000, 'x')).find("line 1: more than 1000 bytes"),
            std::string::npos);
  const WordPieces pieces("[UNK]\r\na\r\n##b\r\n", "v", true);
  EXPECT_EQ(pieces.numbers("AB a b"), (std::vector<int64_t>{1, 2, 1, 0}));
  EXPECT_EQ(pieces.token(2), "##b");
  EXPECT_EQ(pieces.size(), 3);
}

}  // namespace
}  // namespace graft::io
