// How a long job shows itself: a bar on a terminal; elsewhere a line per epoch, and one wherever
// nothing was said for ten seconds.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

#include "graft/tools/report.h"

namespace graft::tools {

class ProgressBar {
 public:
  // what: such as "epoch 3/60"; a new one starts a new count. Drawn at most ten times a second on
  // a terminal, said elsewhere when nothing was for ten seconds. A loss or score below 0 is not
  // shown.
  void update(const std::string& what, int64_t done, int64_t total, double loss = -1,
              double score = -1);
  void clear();  // wipes the bar's line

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  Clock::time_point began_, drawn_;
  bool visible_ = false;
};

// "epoch  3/60  loss 0.4213  train 0.871  val 0.893  lr 0.001  412 images/s  1.2 s"
std::string epoch_line(const EpochRow& row, int64_t epochs);

}  // namespace graft::tools
