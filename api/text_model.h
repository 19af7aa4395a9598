// A network of words for a data set of texts: its vocabulary, its vectors, its settings.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "graft/io/datasets/dataset.h"
#include "graft/models/model_file.h"
#include "graft/train/recipe.h"

namespace graft {

struct GRAFT_API TextNetworkOptions {
  std::string vectors{};                 // a file of word vectors (io/texts/vectors.h); "": none
  std::string architecture = "kim_cnn";  // or word_mean
  // What becomes of the vectors: "static" (they stay), "non-static" (they learn), "multichannel"
  // (both, added), "random" (they are not used: numbers of [-0.25, 0.25), which learn).
  std::string mode = "non-static";
  // Words without a vector: "zero", "random" (of the vectors' deviation) or "mean" (of the
  // vectors); "": zero where the vectors stay, else random.
  std::string unknown{};
  int64_t length = 0;     // words of a text that are read; 0: as many as 99 of 100 training texts
                          // have, at most 256
  int64_t least = 2;      // a word of the training texts without a vector is known from so many on
  int64_t first = 10000;  // so many of the file's first words are known too
  int64_t width = 50;     // of vectors without a file
  int64_t maps = 100;     // filters of each window
  std::vector<int64_t> windows{3, 4, 5};
  double dropout = 0.5;

  // "KEY=VALUE,..." over these: mode, unknown, length, least, first, width, maps, dropout, and
  // windows as 3/4/5. bad_input for others.
  void set(const std::string& settings);
  // What Recipe::freeze then is: "embedding" or "none" (multichannel's other table is no
  // parameter).
  std::string frozen() const;
};

// A network without a head, whose card holds the vocabulary of the data's training part. Each
// sentence that says what was made goes to `note`, which may be empty. bad_input for files and
// texts that cannot be read.
GRAFT_API models::Model make_text_model(const io::OpenedData& data,
                                        const TextNetworkOptions& options, uint64_t seed,
                                        const std::function<void(const std::string&)>& note = {});

// Adam at 1e-3, batches of 50, ten epochs, frozen as the mode says.
GRAFT_API train::Recipe default_text_recipe(const TextNetworkOptions& options);

}  // namespace graft
