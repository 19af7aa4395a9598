#include "graft/tools/training_report.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/io/datasets/groups.h"
#include "graft/tools/command_line.h"
#include "graft/tools/output.h"
#include "graft/tools/pictures.h"
#include "graft/train/tasks/presentation.h"

namespace graft::tools {

EpochRow row_of(const train::EpochMetrics& m) {
  return {m.epoch,
          m.loss,
          m.train.value,
          m.val.empty() ? std::numeric_limits<double>::quiet_NaN() : m.val[0].value,
          m.val_score("loss"),
          m.lr,
          m.images_per_s,
          m.seconds};
}

std::string phases_text(const train::FitResult& fitted) {
  const auto& [epoch, score, loss] = fitted.tuned;
  const std::string probe = str("validation loss ", fixed(fitted.probe.loss, 4), " at epoch ",
                                fitted.probe.epoch),
                    tuned = epoch == 0
                                ? std::string("nothing")
                                : str("validation loss ", fixed(loss, 4), " at epoch ", epoch);
  return fitted.kept_phase == train::kProbePhase
             ? str("the probe, ", probe, "; tuning came to ", tuned)
             : str("the tuned network, ", tuned, "; the probe came to ", probe);
}

RunReport make_report(const FinishedRun& run) {
  const auto shown = run.task.presentation();
  (void)shown->score_with({io::sample_groups(*run.data.val)});
  RunReport report;
  report.title =
      str("graft: ", models::describe(run.made.model.card.architecture), " on ", run.task.what());
  report.facts = {{"kept epoch", str(run.fitted.best_epoch, " of ", run.recipe.all_epochs())},
                  {"training images", thousands(run.data.train->size())},
                  {"validation images", thousands(run.data.val->size())},
                  {"trained for", run.task.what()},
                  {"data", run.data_path},
                  {"command", command_text()},
                  {"graft", GRAFT_VERSION},
                  {"frozen tensors", run.fitted.frozen_sha256.empty()
                                         ? "none"
                                         : "unchanged, SHA-256 " + run.fitted.frozen_sha256},
                  {"source weights, SHA-256", run.made.model.card.lineage.source_sha256.empty()
                                                  ? "none: random weights"
                                                  : run.made.model.card.lineage.source_sha256},
                  {"data manifest, SHA-256", run.data.manifest_sha256},
                  {"trained on", run.made.model.network->device().to_string()}};
  if (!run.fitted.kept_phase.empty())
    report.facts.emplace(report.facts.begin() + 1, "kept", phases_text(run.fitted));
  const auto scores = shown->facts(*run.fitted.best, run.fitted.best_epoch);
  report.facts.insert(report.facts.begin(), scores.begin(), scores.end());
  report.facts.emplace(report.facts.begin(), "network",
                       models::describe(run.made.model.card.architecture));
  for (const train::EpochMetrics& metrics : run.fitted.history)
    report.epochs.push_back(row_of(metrics));
  report.score = run.task.scores()[0].name;
  report.results = shown->html(*run.fitted.best, nullptr, "");
  report.recipe = nlohmann::ordered_json::parse(run.recipe.to_json()).dump(2);
  report.certificate = run.made.certificate;
  report.warnings = run.summary.doubts;
  report.warnings.insert(report.warnings.end(), run.summary.notes.begin(), run.summary.notes.end());
  if (!run.summary.passed_over.empty())
    report.warnings.push_back("passed over: " + run.summary.passed_over.to_text());
  return report;
}

std::string pictures_of(const Network& made, const io::OpenedData& data,
                        const std::shared_ptr<const train::Task>& task,
                        const train::Metric& validation) {
  const io::Preprocess& preprocess = made.model.card.preprocess;
  const auto judged =
      train::to_judge_on(data.val, preprocess);  // windows of images, where it sees them
  const AskNetwork ask = [&](const std::vector<int64_t>& samples) {
    made.model.network->train(false);
    train::PrefixRunner run(*made.model.network, made.model.network->stages().size());
    return outputs_for(run, judged, preprocess, task, samples);
  };
  const auto inputs = train::to_judge_on(data.train, preprocess);
  return pictures_html(
      {inputs, judged, preprocess, why_by(*made.model.network, judged, preprocess)},
      *task->presentation(), validation, ask);
}

}  // namespace graft::tools
