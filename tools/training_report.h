// What a training run's report says, and the pictures that it shows.
#pragma once
#include <memory>
#include <string>

#include "graft/io/datasets/summary.h"
#include "graft/tools/network.h"
#include "graft/tools/report.h"
#include "graft/train/fit.h"

namespace graft::tools {

EpochRow row_of(const train::EpochMetrics& metrics);

struct FinishedRun {
  const Network& made;
  const io::OpenedData& data;
  const train::Recipe& recipe;
  const train::FitResult& fitted;
  const io::DataSummary& summary;
  const train::Task& task;
  const std::string& data_path;
};

// Of a run in phases: which is kept, and what each came to.
std::string phases_text(const train::FitResult& fitted);

RunReport make_report(const FinishedRun& run);

// Sections of HTML: training images as the network sees them, validation images by what the kept
// network made of them.
std::string pictures_of(const Network& made, const io::OpenedData& data,
                        const std::shared_ptr<const train::Task>& task,
                        const train::Metric& validation);

}  // namespace graft::tools
