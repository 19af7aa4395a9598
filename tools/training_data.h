// The data of a verb: opened, every image looked at once, and what it is said first.
#pragma once
#include <memory>
#include <string>

#include "graft/io/datasets/summary.h"
#include "graft/io/decode_gate.h"
#include "graft/train/inputs/table.h"

namespace graft::tools {

struct TrainingData {
  io::OpenedData opened{};  // without broken images
  io::PartFacts facts{};    // of its images
  io::DataSummary summary{};
  std::shared_ptr<io::DecodeGate> gate{};       // decoders keep within it (--ram); null: no bound
  std::shared_ptr<const train::Input> input{};  // what the samples are
};

// Opens the data set, leaves broken images out up to a share of each part, and says the summary to
// stderr. ram: what the whole process may take, of which decoders get what they need (--ram); 0: no
// bound. The input, and why it was taken, is said unless it is the usual one by default. window:
// that grey of more than 8 bits is read by.
TrainingData open_summarized(const std::string& path, io::DataOptions options, double broken_share,
                             const train::ChosenInput& chosen, int64_t ram = 0,
                             const io::GreyWindow& window = {});

// Says, and returns, that image files were written while a verb worked with them; "" when none was.
std::string say_changed_files(const io::OpenedData& data);

// Says and keeps what the network's preprocessing does to images of these shapes.
void doubt_shapes(TrainingData& data, const io::Preprocess& preprocess);

}  // namespace graft::tools
