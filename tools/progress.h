// How a long job shows itself: a bar on a terminal, one line per epoch elsewhere.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

#include "graft/tools/report.h"

namespace graft::tools {

class ProgressBar {
 public:
  // `label` such as "epoch 3/60"; total in images.
  void start(const std::string& label, int64_t total);
  // done images so far; drawn at most ten times a second. accuracy below 0: not shown.
  void update(int64_t done, double loss, double accuracy);
  void clear();  // wipes the bar's line

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_;
  int64_t total_ = 0;
  Clock::time_point began_, drawn_;
  bool visible_ = false;
};

// "epoch  3/60  loss 0.4213  train 0.871  val 0.893  lr 0.001  412 images/s  1.2 s"
std::string epoch_line(const EpochRow& row, int64_t epochs);

}  // namespace graft::tools
