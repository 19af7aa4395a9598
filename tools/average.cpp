// graft average: one model whose weights are the mean of several models'.
#include "graft/api/average.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/progress.h"
#include "graft/tools/training_data.h"
#include "graft/tools/verbs.h"
#include "graft/train/fit.h"
#include "graft/train/freezing.h"
#include "graft/train/tasks/presentation.h"
#include "graft/train/tasks/table.h"

namespace graft::tools {
namespace {

struct AverageFlags {
  std::vector<std::string> models;
  std::string out, data;
  double val_split = 0.2;
  uint64_t seed = 0;
  int threads = 0;
  bool greedy = false, json = false;
};

// The data set, and what is done by it.
class AverageData {
 public:
  AverageData(const AverageFlags& flags, const models::Model& model)
      : task_(task_of(model)),
        preprocess_(model.card.preprocess),
        opened_(open_summarized(flags.data,
                                {.answers = train::answers_for(task_->name()),
                                 .val_split = flags.val_split,
                                 .seed = flags.seed},
                                io::kToleratedBrokenShare,
                                train::input_of_model(preprocess_, "auto"), 0,
                                preprocess_.window)) {
    judged_ =
        train::to_judge_on(task_->to_judge(opened_.opened, flags.data,
                                           [](const std::string& note) { say("note: ", note); }),
                           preprocess_);
  }

  std::unique_ptr<train::Metric> judge(models::Model& model, const std::string& what) {
    ProgressBar bar;
    auto metric = train::judge(*model.network, judged_, preprocess_, task_, 32,
                               [&](int64_t done, int64_t total) { bar.update(what, done, total); });
    bar.clear();
    return metric;
  }
  // Higher is better.
  double score(models::Model& model) {
    const double score = judge(model, "judging")->score();
    return task_->scores()[0].higher_is_better ? score : -score;
  }
  void reestimate(models::Model& model) {
    ProgressBar bar;
    train::BatchLoader loader(train::to_judge_on(opened_.opened.train, preprocess_), preprocess_,
                              {.batch = 32, .shuffle = true, .drop_single = true});
    train::reestimate_statistics(*model.network, loader, [&](int64_t done, int64_t total) {
      bar.update("batch-norm statistics", done, total);
    });
    bar.clear();
  }
  std::string headline(const train::Metric& metric) const {
    return task_->presentation()->headline(metric);
  }
  const train::Task& task() const { return *task_; }

 private:
  std::shared_ptr<const train::Task> task_;
  io::Preprocess preprocess_;
  TrainingData opened_;
  std::shared_ptr<const io::Dataset> judged_;
};

std::vector<NamedModel> load_all(const std::vector<std::string>& paths) {
  std::vector<NamedModel> parts;
  for (const std::string& path : paths) {
    models::Model model = models::load_model(path);
    GRAFT_CHECK(task_card_of(model.card).outputs > 0, path, ": has no head");
    parts.push_back({path, std::move(model)});
  }
  return parts;
}

int average_models(const AverageFlags& flags) {
  GRAFT_CHECK(flags.out.ends_with(".safetensors"), flags.out,
              ": models are written as .safetensors");
  GRAFT_CHECK(!flags.greedy || !flags.data.empty(),
              "--greedy chooses by the validation part of --data PATH");
  check_writable(flags.out);
  ExecContext context(flags.threads);
  const ScopedExecContext scope(context);
  const std::vector<NamedModel> parts = load_all(flags.models);
  models::Model made = average(parts);
  const bool moves = !norms_that_differ(parts).empty();
  nlohmann::ordered_json document = nlohmann::ordered_json::object();
  document["models"] = flags.models;
  std::string text;
  if (flags.data.empty()) {
    if (moves)
      say("note: the models' batch norms have statistics of their own, whose mean is none of the "
          "averaged network; --data PATH re-estimates them");
  } else {
    AverageData data(flags, made);
    const auto prepare = [&](models::Model& model) {
      if (moves) data.reestimate(model);
    };
    if (moves) say("note: batch norms' statistics are re-estimated on the training part");
    if (flags.greedy) {
      GreedySoup soup = greedy_average(
          parts, [&](models::Model& model) { return data.score(model); }, prepare);
      made = std::move(soup.model);
      std::vector<std::string> kept;
      for (const size_t place : soup.kept) kept.push_back(parts[place].name);
      document["kept"] = kept;
      text += str("kept     ", join(kept), "\n");
    } else {
      prepare(made);
    }
    nlohmann::ordered_json& alone = document["alone"] = nlohmann::ordered_json::array();
    for (const NamedModel& part : parts) {
      models::Model one = part.model;
      const auto metric = data.judge(one, "judging");
      alone.push_back({{"model", part.name}, {"score", metric->score()}});
      text += str(part.name, ": ", data.headline(*metric), "\n");
    }
    const auto metric = data.judge(made, "judging");
    document["score"] = {{"name", data.task().scores()[0].name}, {"value", metric->score()}};
    document["reestimated"] = moves;
    text += str("average: ", data.headline(*metric), "\n");
    if (const auto chosen = data.task().chosen_by(*metric)) made.card.task = chosen->card().json;
    for (const std::string& choice : data.task().choices(*metric)) say("note: ", printable(choice));
  }
  models::save_model(flags.out, *made.network, made.card);
  document["written"] = flags.out;
  if (flags.json)
    result(document);
  else
    result(text + str("model    ", flags.out, "\n"));
  return 0;
}

}  // namespace

void add_average(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "average", "One model whose weights are the mean of several models' of one network");
  auto f = std::make_shared<AverageFlags>();
  verb->add_option("MODEL", f->models, "Two or more models of graft, of one network and one task")
      ->required();
  verb->add_option("--out", f->out, "The averaged model (.safetensors)")
      ->required()
      ->type_name("FILE");
  verb->add_option("--data", f->data,
                   "Images: batch norms' statistics are re-estimated on the training part, all "
                   "models judged on the validation part")
      ->type_name("PATH");
  verb->add_flag("--greedy", f->greedy,
                 "Of the models, best first, those with which the mean is at least as good on the "
                 "validation part");
  verb->add_option("--val-split", f->val_split, "Share held out when there is no validation part")
      ->transform(real_number(0.01, 0.9))
      ->type_name("SHARE");
  verb->add_option("--seed", f->seed, "Of what is held out: that of the runs")
      ->transform(whole_number(0, UINT64_MAX))
      ->type_name("N");
  verb->add_option("--threads", f->threads, "Compute threads (0: one per core)")
      ->transform(whole_number(0, 1024))
      ->type_name("N");
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->footer(
      "Example:\n  graft average runs/1/model.safetensors runs/2/model.safetensors --out "
      "mean.safetensors\n"
      "  graft average runs/*/model.safetensors --greedy --data photos --out soup.safetensors");
  verb->callback([&action, f] { action = [f] { return average_models(*f); }; });
}

}  // namespace graft::tools
