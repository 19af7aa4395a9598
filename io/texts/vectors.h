// Files of word vectors: GloVe's and word2vec's text (fastText's .vec), word2vec's binary.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

struct WordVectors {
  std::string format{};  // "GloVe text", "word2vec text", "word2vec binary"
  int64_t width = 0;     // numbers of a vector
  int64_t words_in_file = 0;
  std::vector<std::string> words{};  // those kept, in small letters, in the file's order
  std::vector<float> values{};       // [words,width]
  const float* row(size_t word) const { return values.data() + word * static_cast<size_t>(width); }
};

struct VectorsWanted {
  // Of a word in small letters, whether it is kept; may be empty: none is.
  std::function<bool(std::string_view word)> wants{};
  int64_t first = 0;  // so many of the file's first words are kept too
};

// Reads the file once, in blocks, and holds no more of it than what is kept. Of words that differ
// by capitals alone the one in small letters is taken, else the first. bad_input naming the file
// and the line or the word for what is none of the formats, vectors of two widths, numbers that are
// not finite, a file that ends early, widths beyond 4096 and more than 2 GiB to be kept.
GRAFT_API WordVectors read_vectors(const std::string& path, const VectorsWanted& wanted);

}  // namespace graft::io
