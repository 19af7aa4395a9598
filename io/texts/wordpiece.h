// WordPiece: BERT's tokeniser, from its vocab.txt.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

// As Hugging Face's BertWordPieceTokenizer: control characters go, Han characters and punctuation
// stand alone, with `lower` letters become small and lose their accents; then each word is the
// longest piece of the vocabulary, then the longest that continues it ("##ing") ...; [UNK] where
// there is none, and for words of more than 100 characters. [PAD], [UNK], [CLS], [SEP] and [MASK]
// in a text are themselves. Any thread may call it.
class GRAFT_API WordPieces {
 public:
  // A token a line, its number from 0. bad_input naming it where [UNK] is missing, a token stands
  // twice or there are too many.
  WordPieces(std::string_view vocabulary, const std::string& name, bool lower);
  // Without [CLS] and [SEP].
  std::vector<int64_t> numbers(std::string_view text) const;
  const std::string& token(int64_t number) const { return tokens_.at(static_cast<size_t>(number)); }
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }

 private:
  void add_plain(std::string_view text, std::vector<int64_t>& numbers) const;
  void add_word(const std::u32string& word, std::vector<int64_t>& numbers) const;

  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int64_t> numbers_;
  int64_t unknown_ = 0;
  bool lower_;
};

}  // namespace graft::io
