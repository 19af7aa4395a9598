// graft advise: which of several weight files, cut where, suits a data set, and whether transfer
// pays there.
#include "graft/api/advise.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "graft/core/runtime/exec_context.h"
#include "graft/tools/column_flags.h"
#include "graft/tools/command_line.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/interrupt.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/pixel_flag.h"
#include "graft/tools/progress.h"
#include "graft/tools/resize_flag.h"
#include "graft/tools/verbs.h"

namespace graft::tools {
namespace {

struct AdviseFlags {
  std::vector<std::string> weights;
  std::string data, cut = "auto", channels = "repeat", image_size, resize;
  io::TableColumns columns;
  int64_t images = 1000, folds = 5;
  double budget = 0, broken = io::kToleratedBrokenShare;
  uint64_t seed = 0;
  int threads = 0;
  bool json = false;
};

nlohmann::ordered_json number_or_null(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json features_document(const AdvisedFeatures& f) {
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  if (!f.weights.empty()) j["weights"] = f.weights;
  j["cut"] = f.cut;
  j["what"] = f.what;
  j["features"] = f.features;
  j["parameters"] = f.parameters;
  j["probe"] = f.probe.share;
  j["probe_interval"] = {f.probe.interval.low, f.probe.interval.high};
  j["probe_folds"] = f.probe.of_folds;
  j["logme"] = number_or_null(f.log_evidence);
  j["h_score"] = number_or_null(f.separation);
  j["leep"] = number_or_null(f.expected_prediction);
  j["knn"] = number_or_null(f.neighbors);
  j["seconds"] = f.seconds;
  return j;
}

// What a user would type, but for the flags of the choice.
std::string next_command(const Advice& advice, const AdviseFlags& flags) {
  std::vector<std::string> words = {"graft", "finetune"};
  words.insert(words.end(), advice.flags.begin(), advice.flags.end());
  if (flags.cut != "auto" && std::find(words.begin(), words.end(), "--cut") == words.end())
    words.insert(words.end(), {"--cut", flags.cut});
  words.insert(words.end(), {"--data", flags.data});
  const auto add = [&](const char* name, const std::string& value, const std::string& left = "") {
    if (value != left) words.insert(words.end(), {name, value});
  };
  add("--channels", flags.channels, "repeat");
  add("--image-size", flags.image_size);
  add("--resize", flags.resize);
  const std::vector<std::string> columns = column_words(flags.columns);
  words.insert(words.end(), columns.begin(), columns.end());
  add("--broken", str(flags.broken), str(io::kToleratedBrokenShare));
  add("--seed", str(flags.seed), "0");
  add("--out", "run");
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + shell_word(word);
  return text;
}

nlohmann::ordered_json advice_document(const Advice& advice, const std::string& command) {
  nlohmann::ordered_json candidates = nlohmann::ordered_json::array(), baselines = candidates;
  for (const AdvisedFeatures& f : advice.candidates) candidates.push_back(features_document(f));
  for (const AdvisedFeatures& f : advice.baselines) baselines.push_back(features_document(f));
  const char* transfer[] = {"pays", "not sure", "does not pay"};
  return {{"data", advice.data},
          {"images", advice.images},
          {"folds", advice.folds},
          {"candidates", candidates},
          {"baselines", baselines},
          {"left_out", advice.left_out},
          {"by_size", advice.by_size},
          {"sure", advice.is_sure},
          {"transfer", transfer[static_cast<size_t>(advice.transfer)]},
          {"sentences", advice.sentences},
          {"command", command}};
}

std::vector<std::string> advice_row(const AdvisedFeatures& f) {
  const auto shown = [](double value) { return std::isfinite(value) ? fixed(value, 3) : "-"; };
  return {printable(f.weights.empty() ? f.what : f.weights),
          f.cut.empty() ? "-" : printable(f.cut),
          str(f.features),
          thousands(f.parameters),
          shown(f.probe.share),
          str(shown(f.probe.interval.low), " to ", shown(f.probe.interval.high)),
          shown(f.log_evidence),
          shown(f.separation),
          shown(f.expected_prediction),
          shown(f.neighbors),
          duration(f.seconds)};
}

std::string advice_text(const Advice& advice, const std::string& command) {
  std::vector<std::vector<std::string>> rows = {{"weights", "cut", "features", "parameters",
                                                 "probe", "95 %", "LogME", "H-score", "LEEP", "kNN",
                                                 "time"}};
  for (const AdvisedFeatures& f : advice.candidates) rows.push_back(advice_row(f));
  for (const AdvisedFeatures& f : advice.baselines) rows.push_back(advice_row(f));
  std::string text = table_of(rows);
  for (const std::string& sentence : advice.left_out) text += "not measured: " + sentence + "\n";
  text += "\n";
  for (const std::string& sentence : advice.sentences) text += sentence + "\n";
  return text + "\nNext:\n  " + command + "\n";
}

int give_advice(const AdviseFlags& flags) {
  ExecContext context(flags.threads);
  const ScopedExecContext scope(context);
  ProgressBar bar;
  AdviseOptions options;
  options.import.cut = flags.cut;
  options.import.channels = channel_rule(flags.channels);
  options.data.columns = flags.columns;
  options.data.train_limit = flags.images;
  options.data.seed = options.seed = flags.seed;
  options.broken_share = flags.broken;
  options.image_size = flags.image_size;
  options.resize = flags.resize;
  options.folds = flags.folds;
  options.budget_seconds = flags.budget * 60;
  options.on_note = [&](const std::string& sentence) {
    bar.clear();
    say("note: ", sentence);
  };
  options.progress = [&](const std::string& what, int64_t done, int64_t total) {
    bar.update(what, done, total);
  };
  const InterruptGuard interrupt;
  options.stop = &interrupt.flag();
  const Advice advice = advise(flags.weights, flags.data, options);
  bar.clear();
  const std::string command = next_command(advice, flags);
  if (flags.json)
    result(advice_document(advice, command));
  else
    result(advice_text(advice, command));
  return 0;
}

}  // namespace

void add_advise(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "advise", "Which of several weight files suits your images, before any training");
  auto f = std::make_shared<AdviseFlags>();
  verb->add_option("--weights", f->weights, "The candidates: weight files of any format")
      ->required()
      ->type_name("FILE");
  verb->add_option("--data", f->data, "The images, one answer each; the training part is looked at")
      ->required()
      ->type_name("PATH");
  verb->add_option("--budget", f->budget,
                   "Minutes; weights whose pass would go beyond are left out (0: none are)")
      ->transform(real_number(0, 1e6))
      ->type_name("F");
  verb->add_option("--images", f->images, "Of the training part, drawn by the seed (0: all)")
      ->transform(whole_number(0, uint64_t{1} << 40))
      ->type_name("N");
  verb->add_option("--folds", f->folds, "Of the probe")
      ->transform(whole_number(2, 100))
      ->type_name("N");
  verb->add_option("--cut", f->cut,
                   "auto: the end and stages before it; or one stage for all files")
      ->type_name("STAGE");
  verb->add_option("--channels", f->channels, "repeat or sum-conv1")
      ->check(CLI::IsMember({"repeat", "sum-conv1"}))
      ->type_name("RULE");
  verb->add_option("--image-size", f->image_size,
                   "Side of every network's input, or height and width (default: each one's own)")
      ->transform(image_sides(8, 4096))
      ->type_name("N|HxW");
  verb->add_option("--broken", f->broken,
                   "Share of broken images that is left out; with more the verb stops")
      ->transform(real_number(0, 1))
      ->type_name("SHARE");
  verb->add_option("--seed", f->seed, "Of the images held out and drawn, and of random weights")
      ->transform(whole_number(0, UINT64_MAX))
      ->type_name("N");
  verb->add_option("--threads", f->threads, "Compute threads (0: one per core)")
      ->transform(whole_number(0, 1024))
      ->type_name("N");
  add_column_flags(*verb, f->columns);
  add_resize_flag(*verb, f->resize);
  add_pixel_flag(*verb);
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->footer(
      "Example:\n  graft advise --weights resnet18.safetensors resnet50.safetensors --data photos");
  verb->callback([&action, f] { action = [f] { return give_advice(*f); }; });
}

}  // namespace graft::tools
