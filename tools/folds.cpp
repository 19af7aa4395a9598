#include "graft/tools/folds.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "graft/api/finetune.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/groups.h"
#include "graft/tools/output.h"
#include "graft/tools/run_folder.h"
#include "graft/tools/training.h"
#include "graft/train/checkpoint.h"

namespace graft::tools {
namespace {

// A score of the kept epochs.
struct FoldScores {
  std::string name{};
  std::vector<double> values{};

  double mean() const {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  }
  double deviation() const {
    const double middle = mean();
    double squares = 0;
    for (const double value : values) squares += (value - middle) * (value - middle);
    return std::sqrt(squares / static_cast<double>(values.size() - 1));
  }
};

// In the order in which the runs have them; the first is the one that chooses the epoch.
std::vector<FoldScores> scores_of(const std::vector<std::string>& folders) {
  std::vector<FoldScores> all;
  for (const std::string& folder : folders) {
    const train::RunRecord record = train::load_run_record(RunFolder{folder}.checkpoint());
    GRAFT_CHECK(record.best_epoch >= 1 && record.best_epoch <= std::ssize(record.history), folder,
                ": no epoch of it is kept");
    const train::EpochMetrics& kept = record.history[static_cast<size_t>(record.best_epoch - 1)];
    if (all.empty())
      for (const train::Score& score : kept.val) all.push_back({score.name});
    for (FoldScores& score : all) score.values.push_back(kept.val_score(score.name));
  }
  return all;
}

constexpr size_t kMostGroups = 1000;

// What --folds groups holds out, one after another.
std::vector<std::string> groups_to_hold_out(const TrainingFlags& flags) {
  if (flags.columns.group.empty() && flags.group_pattern.empty())
    fail(ErrorCode::usage, "--folds groups needs --group-column or --group-pattern");
  const io::OpenedData data = io::open_data(flags.data, {.columns = flags.columns,
                                                         .masks = flags.masks,
                                                         .answers = answers_for_task(flags.task),
                                                         .val_split = 0,
                                                         .group_pattern = flags.group_pattern});
  GRAFT_CHECK(!data.val, flags.data,
              ": has a validation part; folds are parts of the training images, for data "
              "without one");
  std::vector<std::string> groups = io::group_names(*data.train);
  GRAFT_CHECK(groups.size() >= 2 && groups.size() <= kMostGroups, flags.data, ": has ",
              groups.size(), groups.size() == 1 ? " group" : " groups",
              "; --folds groups takes 2 to ", kMostGroups);
  return groups;
}

std::string folds_document(const TrainingFlags& flags, const std::vector<std::string>& groups,
                           const std::vector<FoldScores>& scores) {
  nlohmann::ordered_json document = {
      {"folds", flags.folds}, {"seed", flags.seed}, {"scores", nlohmann::ordered_json::object()}};
  if (!groups.empty()) {
    document["groups"] = nlohmann::ordered_json::array();
    for (const std::string& group : groups) document["groups"].push_back(printable(group));
  }
  for (const FoldScores& score : scores)
    document["scores"][score.name] = {
        {"mean", score.mean()}, {"deviation", score.deviation()}, {"values", score.values}};
  return document.dump(2) + "\n";
}

}  // namespace

int over_folds(const TrainingFlags& asked, const std::function<int(const TrainingFlags&)>& run) {
  if (asked.folds == 0 && !asked.fold_is_group) return run(asked);
  TrainingFlags flags = asked;
  if (!flags.val.empty())
    fail(ErrorCode::usage, "--folds holds out parts of --data; it takes no --val");
  const std::string folder = flags.out.substr(0, flags.out.find_last_not_of('/') + 1);
  if (holds_a_run(folder))
    fail(ErrorCode::usage, folder, ": holds a run; --folds needs a folder of its own");
  std::vector<std::string> folders, groups;
  if (flags.fold_is_group) {
    groups = groups_to_hold_out(flags);
    flags.folds = std::ssize(groups);
  }
  for (int64_t fold = 1; fold <= flags.folds; ++fold) {
    TrainingFlags one = flags;
    one.fold = fold;
    one.out = folders.emplace_back(join_path(folder, std::to_string(fold)));
    say("fold ", fold, " of ", flags.folds, groups.empty() ? "" : ": group ",
        groups.empty() ? "" : printable(groups[static_cast<size_t>(fold - 1)]));
    if (const int code = run(one); code != 0) return code;
  }
  const std::vector<FoldScores> scores = scores_of(folders);
  const std::string file = join_path(folder, "folds.json");
  write_file_atomically(file, folds_document(flags, groups, scores));
  const FoldScores& first = scores.at(0);
  std::string each;
  for (size_t i = 0; i < first.values.size(); ++i)
    each += str(i == 0 ? "" : ", ", groups.empty() ? "" : printable(groups[i]) + " ",
                fixed(first.values[i], 4));
  result(str("folds    ", first.name, " ", fixed(first.mean(), 4), " +- ",
             fixed(first.deviation(), 4), " over ", flags.folds,
             groups.empty() ? " folds (" : " groups held out, one each (", each, ")\nscores   ",
             file, "\n"));
  say("note: each fold's model was trained without its part; the one to ship is that of a run "
      "without --folds");
  return 0;
}

}  // namespace graft::tools
