#include "graft/tools/progress.h"

#include <algorithm>
#include <cstdio>

#include "graft/tools/output.h"

namespace graft::tools {

constexpr std::chrono::seconds kSignOfLife{10};

void ProgressBar::update(const std::string& what, int64_t done, int64_t total, double loss,
                         double score) {
  static const bool terminal = stderr_is_terminal();
  const auto now = Clock::now();
  if (what != what_) {
    what_ = what;
    began_ = now;
  }
  if (!terminal) {  // short phases one after another are as silent as a long one
    if (now - last_said() < kSignOfLife) return;
    return say(what, ": ", thousands(done), " of ", thousands(total));
  }
  if (now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  total = std::max<int64_t>(total, 1);
  const double seconds = std::max(1e-9, std::chrono::duration<double>(now - began_).count());
  const double rate = static_cast<double>(done) / seconds;
  constexpr int64_t width = 24;
  const int64_t filled = std::clamp<int64_t>(width * done / total, 0, width);
  std::string line =
      str("\r", what_, " [", std::string(static_cast<size_t>(filled), '='),
          std::string(static_cast<size_t>(width - filled), ' '), "] ", done, "/", total, "  ",
          fixed(rate, 0), " images/s  ETA ",
          rate > 0 ? duration(static_cast<double>(total - done) / rate) : std::string("-"));
  if (loss >= 0) line += "  loss " + fixed(loss, 4);
  if (score >= 0) line += "  score " + fixed(score, 3);
  line += "\x1b[K";
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
  visible_ = true;
}

void ProgressBar::clear() {
  if (visible_) std::fputs("\r\x1b[K", stderr);
  visible_ = false;
}

namespace {

// Three digits: 0.00374, 1.07e-07.
std::string significant(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

}  // namespace

std::string epoch_line(const EpochRow& row, int64_t epochs) {
  const std::string total = std::to_string(epochs);
  std::string epoch = std::to_string(row.epoch);
  epoch.insert(0, total.size() > epoch.size() ? total.size() - epoch.size() : 0, ' ');
  return str("epoch ", epoch, "/", total, "  loss ", fixed(row.loss, 4), "  train ",
             fixed(row.train_score, 4), "  val ", fixed(row.val_score, 4), "  val loss ",
             fixed(row.val_loss, 4), "  lr ", significant(row.lr), "  ", fixed(row.images_per_s, 0),
             " images/s  ", duration(row.seconds));
}

}  // namespace graft::tools
