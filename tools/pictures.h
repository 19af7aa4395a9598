// Pictures of a report: images as the network sees them, beside what it answers.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "graft/io/datasets/dataset.h"
#include "graft/io/preprocess.h"
#include "graft/train/fit.h"
#include "graft/train/tasks/presentation.h"

namespace graft::tools {

// Answers of the network that was judged, for some samples of the part: f32 [N,...] on any device.
using AskNetwork = std::function<Tensor(const std::vector<int64_t>& samples)>;

// Such answers through a runner of all stages.
Tensor outputs_for(train::PrefixRunner& run, const std::shared_ptr<const io::Dataset>& part,
                   const io::Preprocess& preprocess, const std::shared_ptr<const train::Task>& task,
                   const std::vector<int64_t>& samples);

// For a sample of the part and an output of the network: what spoke for it, as a picture of what
// the network is given. Error(bad_input) where that cannot be told.
using AskWhy = std::function<io::Image(int64_t sample, int64_t output)>;
// Such pictures by Grad-CAM (train/grad_cam.h). The network must outlive it.
AskWhy why_by(StagedNetwork& network, std::shared_ptr<const io::Dataset> part,
              const io::Preprocess& preprocess);

struct Pictured {
  std::shared_ptr<const io::Dataset> inputs{};  // what was trained on; null: not shown
  std::shared_ptr<const io::Dataset> judged{};  // the part that the metric is of
  io::Preprocess preprocess{};
  // Of numbers for an image: pictures of the first kind, the worst answers, have beside them what
  // spoke for the largest one. Empty: they have not.
  AskWhy why{};
};

// Sections of HTML, at most 56 pictures of 160 pixels a side inside the page itself. An image that
// cannot be read any more is said in its place. "" where there is nothing to show.
std::string pictures_html(const Pictured& pictured, const train::Presentation& shown,
                          const train::Metric& metric, const AskNetwork& ask);

}  // namespace graft::tools
