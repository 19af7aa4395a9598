#include "graft/tools/tensorboard.h"

#include <cmath>

#include "graft/tools/command_line.h"
#include "graft/tools/output.h"

namespace graft::tools {

TensorboardLog::TensorboardLog(const std::string& folder) : file_(folder) {
  file_.text("command", 0, "    " + printable(command_text()));  // indented: as it is, in Markdown
}

void TensorboardLog::add(const train::EpochMetrics& metrics) {
  const auto scalar = [&](const std::string& tag, double value) {
    if (std::isfinite(value)) file_.scalar(tag, metrics.epoch, value);
  };
  scalar("loss/train", metrics.loss);
  if (!metrics.train.name.empty()) scalar(metrics.train.name + "/train", metrics.train.value);
  for (const train::Score& score : metrics.val) scalar(score.name + "/validation", score.value);
  scalar("learning rate", metrics.lr);
  scalar("images a second", metrics.images_per_s);
  scalar("seconds", metrics.seconds);
}

}  // namespace graft::tools
