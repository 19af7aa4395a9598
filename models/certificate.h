// Certificate: what an import understood of a weight file, for people and for programs.
#pragma once
#include <string>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::models {

// A fact and how it is known.
struct Finding {
  std::string what{};  // "1e-05"
  bool known = false;  // false: guessed
  std::string why{};   // "the graph's BatchNormalization nodes"
};

struct Certificate {
  std::string path{}, format{}, naming{}, sha256{};
  std::string architecture{};          // describe()
  int64_t matched = 0;                 // tensors of the network that the file filled
  int64_t parameters = 0;              // numbers in the network's parameters
  std::vector<std::string> unused{};   // tensors of the file that the cut leaves out
  std::vector<std::string> ignored{};  // tensors beside the network: optimizer state, other copies
  int64_t neutral_norms = 0;           // un-folded batch norms
  std::string biases{};  // of a graph: why its biases were taken for folded norms, or why not
  Finding eps, stride, stem_pool,
      preprocess;  // stride, stem_pool: empty where the family has no choice
  std::string cut{}, head{};
  std::string comparison{};  // of the network with the source graph, where both could run
  std::string
      statistics;        // do the batch norms' statistics follow from the layers before (doubts.h)
  std::string images{};  // the same of the user's images, where some are at hand (image_check.h)
  // A check of the import that was not run, and why; empty: all were that the file allows.
  std::string not_executed{};
  std::vector<std::string> doubts{};  // what speaks against the tensors; empty: nothing
  std::vector<std::string> notes{};

  GRAFT_API std::string to_text() const;  // lines "  name  value"
  GRAFT_API std::string to_json() const;  // keys in a fixed order
};

}  // namespace graft::models
