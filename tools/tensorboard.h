// A training run's TensorBoard log (--tensorboard).
#pragma once
#include <string>

#include "graft/io/event_file.h"
#include "graft/train/metrics.h"

namespace graft::tools {

class TensorboardLog {
 public:
  // Makes the folder and a new event file in it, which begins with the command as text.
  explicit TensorboardLog(const std::string& folder);
  // Scalars at step `epoch`: loss/train, loss/validation, the other scores as NAME/train and
  // NAME/validation, learning rate, images a second, seconds. What is not finite is left out.
  void add(const train::EpochMetrics& metrics);
  // A text at step 0.
  void text(const std::string& tag, const std::string& text) { file_.text(tag, 0, text); }
  const std::string& path() const { return file_.path(); }

 private:
  io::EventFile file_;
};

}  // namespace graft::tools
