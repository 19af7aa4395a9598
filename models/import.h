// Import: any weight file -> a native network and a certificate of what was understood. Nothing is
// filled with random values: what does not fit is refused, all of it in one error.
#pragma once
#include <string>
#include <vector>

#include "graft/models/certificate.h"
#include "graft/models/model_file.h"

namespace graft::models {

// Certificate::naming of a file that graft wrote.
inline constexpr const char* kGraftNaming = "a model of graft, by its card";

enum class ChannelRule { repeat, sum_conv1 };

struct ImportOptions {
  std::string arch{};  // "": guessed from names and shapes
  std::string cut =
      "auto";  // auto: after the last whole stage in the file; or a stage's name ("layer3")
  // For grey images in a network of 3 channels: repeat the grey channel, or make it a 1-channel
  // network whose first convolution is the sum of the source's over its input channels.
  ChannelRule channels = ChannelRule::repeat;
  std::string prefix{};  // under which the network's tensors stand; "": searched for
  std::string output{};  // of a graph with several: the one to use; "": the first, with a doubt
  // false: a model of graft is taken at its word (no doubts looked for, no hash of the file): for
  // who only runs it.
  bool examine = true;
  // The most memory that may be held while the file's own computation is run as a check of the
  // import; 0: four times the file, at least kLeastCheckBytes. A graph that needs more to be
  // understood is refused; a check that needs more is left out, and the certificate says so.
  int64_t check_bytes = 0;
  // The same for computing, in multiply-adds (models/graph/work_limit.h says how they are counted);
  // 0: kCheckOperationsPerByte for each byte of the file's tensors, at least kLeastCheckOperations.
  int64_t check_operations = 0;
};

inline constexpr int64_t kLeastCheckBytes = int64_t{512} << 20;
// Two images of 250 thousand million: seconds to a minute on two cores.
inline constexpr int64_t kLeastCheckOperations = 500'000'000'000, kCheckOperationsPerByte = 4096;

struct Imported {
  Model model{};  // the network with the file's own head, or none; its card without labels unless
                  // the file has them
  Certificate certificate{};
};

// bad_input naming the file for: no architecture that graft knows; tensors missing, unexpected or
// of the wrong shape; in an .onnx also any attribute that the native network does not have.
GRAFT_API Imported import_weights(const std::string& path, const ImportOptions& options = {});

}  // namespace graft::models
