// Networks of words, written as graphs: word numbers in, features of a text out. Being graphs they
// train, freeze, cache, save and become ONNX as imported ones do.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graft/core/tensor/state_dict.h"
#include "graft/models/graph/graph_config.h"

namespace graft::models {

// Y. Kim, "Convolutional Neural Networks for Sentence Classification" (EMNLP 2014): filters over
// runs of words, the largest value of each over the text. Or the mean of the words' vectors.
struct GRAFT_API WordNetwork {
  std::string name = "kim_cnn";  // one of word_network_names()
  int64_t length = 64;           // words of a text
  Tensor vectors{};              // [words,D]: row 0 is padding, and counts as zeros
  Tensor fixed{};                // "multichannel": vectors that never learn, added to the others;
                                 // undefined: none
  std::vector<int64_t> windows{3, 4, 5};  // of kim_cnn: how many words a filter sees,
  int64_t maps = 100;                     // so many filters of each,
  double dropout = 0.5;                   // and dropout of the features
  uint64_t seed = 0;                      // of the filters
};

// kim_cnn, word_mean.
GRAFT_API std::vector<std::string> word_network_names();

// [N,1,1,L] numbers of words as floats, which are exact up to 2^24, to features: [N,maps*windows]
// of kim_cnn, [N,D] of word_mean. Stages: embedding ([N,1,L,D]), features, dropout. Tensors:
// embedding.weight [words,D], fixed.weight (a buffer), filters.0.weight [maps,1,window,D] and
// filters.0.bias [maps] ..., at PyTorch's default values. No head: replace_head() gives one.
// bad_input for what cannot be built.
GRAFT_API GraphConfig word_graph(const WordNetwork& network);

}  // namespace graft::models
