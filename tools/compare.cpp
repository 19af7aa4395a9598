// graft compare: runs side by side, and what their recipes, weights and data differ in.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/json.h"
#include "graft/tools/output.h"
#include "graft/tools/paired_answers.h"
#include "graft/tools/run_folder.h"
#include "graft/tools/verbs.h"
#include "graft/train/checkpoint.h"

namespace graft::tools {
namespace {

struct ComparedRun {
  std::string path;
  train::RunRecord record{};
  train::EpochMetrics kept{};  // of the epoch that is kept
  double seconds = 0;
  // Recipe, and "network", "weights", "data" of its identity.
  nlohmann::json settings = nlohmann::json::object();
};

nlohmann::json object_in(const std::string& text, const std::string& what) {
  io::check_json(text, what);
  nlohmann::json j = nlohmann::json::parse(text, nullptr, false);
  return j.is_object() ? j : nlohmann::json::object();
}

ComparedRun read_run(const std::string& path) {
  const RunFolder folder{path};
  GRAFT_CHECK(file_system().exists(folder.checkpoint()), path,
              ": is no run of graft (there is no last.ckpt.safetensors in it)");
  ComparedRun run{path, train::load_run_record(folder.checkpoint())};
  run.settings = object_in(run.record.recipe, path + ": its recipe");
  const nlohmann::json identity = object_in(run.record.identity, path + ": what it says of itself");
  for (const char* field : {"network", "weights", "data"})
    if (identity.contains(field)) run.settings[field] = identity[field];
  for (const train::EpochMetrics& metrics : run.record.history) {
    run.seconds += metrics.seconds;
    if (metrics.epoch == run.record.best_epoch) run.kept = metrics;
  }
  return run;
}

// The runs named, those in folders of numbered runs one by one.
std::vector<ComparedRun> read_runs(const std::vector<std::string>& paths) {
  std::vector<ComparedRun> runs;
  for (const std::string& path : paths) {
    GRAFT_CHECK(file_system().is_directory(path), path, ": there is no such folder");
    const auto inside = holds_a_run(path) ? std::vector<std::string>() : numbered_runs(path);
    if (inside.empty()) runs.push_back(read_run(path));
    for (const std::string& run : inside) runs.push_back(read_run(run));
  }
  return runs;
}

std::string value_of(const ComparedRun& run, const std::string& field) {
  const auto found = run.settings.find(field);
  if (found == run.settings.end()) return "-";
  const std::string text = found->is_string() ? found->get<std::string>() : found->dump();
  return field == "weights" || field == "data" ? text.substr(0, 12) : text;
}

std::vector<std::string> differing_fields(const std::vector<ComparedRun>& runs) {
  std::set<std::string> fields;
  for (const ComparedRun& run : runs)
    for (const auto& [field, value] : run.settings.items()) fields.insert(field);
  std::erase_if(fields, [&](const std::string& field) {
    return std::all_of(runs.begin(), runs.end(), [&](const ComparedRun& run) {
      return value_of(run, field) == value_of(runs[0], field);
    });
  });
  return {fields.begin(), fields.end()};
}

// In the order in which the runs have them: each run's first is the one that chose its epoch.
std::vector<std::string> score_names(const std::vector<ComparedRun>& runs) {
  std::vector<std::string> names;
  for (const ComparedRun& run : runs)
    for (const train::Score& score : run.kept.val)
      if (std::find(names.begin(), names.end(), score.name) == names.end())
        names.push_back(score.name);
  return names;
}

nlohmann::ordered_json runs_document(const std::vector<ComparedRun>& runs,
                                     const std::vector<std::string>& fields) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const ComparedRun& run : runs) {
    nlohmann::ordered_json j = {
        {"run", run.path}, {"epochs", run.record.epoch}, {"kept_epoch", run.record.best_epoch}};
    if (!run.kept.phase.empty()) j["kept_phase"] = run.kept.phase;
    for (const train::Score& score : run.kept.val) j["val_" + score.name] = score.value;
    j["seconds"] = run.seconds;
    for (const std::string& field : fields)
      j["settings"][field] = run.settings.contains(field) ? run.settings[field] : nullptr;
    all.push_back(j);
  }
  return all;
}

std::string runs_table(const std::vector<ComparedRun>& runs,
                       const std::vector<std::string>& fields) {
  const std::vector<std::string> scores = score_names(runs);
  std::vector<std::vector<std::string>> rows = {{"run"}};
  rows[0].insert(rows[0].end(), scores.begin(), scores.end());
  for (const char* name : {"kept epoch", "time"}) rows[0].emplace_back(name);
  rows[0].insert(rows[0].end(), fields.begin(), fields.end());
  for (const ComparedRun& run : runs) {
    std::vector<std::string>& row = rows.emplace_back();
    row.push_back(printable(run.path));
    for (const std::string& name : scores) {
      const double value = run.kept.val_score(name);
      row.push_back(std::isfinite(value) ? fixed(value, 4) : "-");
    }
    row.push_back(str(run.record.best_epoch, " of ", run.record.epoch,
                      run.kept.phase.empty() ? "" : " (" + run.kept.phase + ")"));
    row.push_back(duration(run.seconds));
    for (const std::string& field : fields) row.push_back(printable(value_of(run, field)));
  }
  return table_of(rows);
}

int compare_tables(const std::vector<std::string>& paths, bool json) {
  if (paths.size() != 2 || !is_answers_table(paths[0]) || !is_answers_table(paths[1]))
    fail(ErrorCode::usage, "compare takes runs, or two tables of evaluate --predictions");
  const PairedAnswers pairs = paired_answers(paths[0], paths[1]);
  if (json)
    result(nlohmann::ordered_json::parse(paired_json(paths[0], paths[1], pairs)));
  else
    result(paired_text(paths[0], paths[1], pairs));
  return 0;
}

int compare_runs(const std::vector<std::string>& paths, bool json) {
  if (std::any_of(paths.begin(), paths.end(), is_answers_table)) return compare_tables(paths, json);
  const std::vector<ComparedRun> runs = read_runs(paths);
  const std::vector<std::string> fields = differing_fields(runs);
  if (json)
    result(runs_document(runs, fields));
  else
    result(runs_table(runs, fields));
  if (std::find(fields.begin(), fields.end(), "data") != fields.end())
    say("note: the runs are of different data (or other images held out), so that their "
        "results do not compare one to one");
  return 0;
}

}  // namespace

void add_compare(CLI::App& app, Action& action) {
  struct Flags {
    std::vector<std::string> runs;
    bool json = false;
  };
  auto* verb = app.add_subcommand("compare", "Runs side by side: results, and what they differ in");
  auto f = std::make_shared<Flags>();
  verb->add_option(
          "RUN", f->runs,
          "Folders of runs, or of numbered runs; or two tables of evaluate --predictions, of whose "
          "answers McNemar's exact test is made")
      ->required();
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->footer(
      "Example:\n  graft compare runs/1 runs/3\n  graft compare runs/\n"
      "  graft compare first.csv second.csv");
  verb->callback([&action, f] { action = [f] { return compare_runs(f->runs, f->json); }; });
}

}  // namespace graft::tools
