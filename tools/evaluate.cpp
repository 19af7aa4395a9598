// graft evaluate: accuracy, recall and precision per class and the confusion matrix of a model on a
// data set.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/io/datasets/groups.h"
#include "graft/io/input_geometry.h"
#include "graft/tools/column_flags.h"
#include "graft/tools/command_line.h"
#include "graft/tools/device.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/input_flags.h"
#include "graft/tools/mask_flags.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/pictures.h"
#include "graft/tools/pixel_flag.h"
#include "graft/tools/predictions.h"
#include "graft/tools/progress.h"
#include "graft/tools/report.h"
#include "graft/tools/resize_flag.h"
#include "graft/tools/training_data.h"
#include "graft/tools/verbs.h"
#include "graft/train/fit.h"
#include "graft/train/tasks/presentation.h"
#include "graft/train/tasks/table.h"

namespace graft::tools {
namespace {

struct EvaluateFlags {
  std::string model, data, precision = "fp32", calibrate, save, report, resize, window, predictions,
                           group_pattern;
  io::TableColumns columns;
  InputFlags input;
  io::MaskOptions masks;
  double broken = io::kToleratedBrokenShare;
  std::optional<double> specificity{};
  DeviceFlags device;
  SourceFlags source;
  double least_confidence = 0;
  bool json = false, strict = false;
  int threads = 0;
};

void calibrate_model(models::Model& model, const EvaluateFlags& flags, io::AnswerKind answers) {
  if (flags.calibrate.empty()) return;
  apply_resize(model.card.preprocess, flags.resize);
  apply_window(model.card.preprocess, flags.window);
  const auto input = train::input_of(model.card.preprocess);
  io::OpenedData data = io::open_data(
      flags.calibrate,
      {.answers = answers, .files = input->files(), .val_split = 0, .least_classes = 1});
  std::vector<io::ImageFacts> facts =
      train::census_of(*input, *data.train, {.window = model.card.preprocess.window});
  data.train = io::keep_whole(data.train, facts, flags.broken, data.notes, data.files.many);
  for (const std::string& note : data.notes) say("note: ", note);
  ProgressBar bar;
  model.card.int8 = train::calibrate(
      *model.network, data.train, model.card.preprocess, 256,
      [&](int64_t done, int64_t total) { bar.update("calibrating", done, total); });
  bar.clear();
  say("int8: ranges of ", model.card.int8.ranges.size(), " values from ", model.card.int8.images,
      " images");
  if (!flags.save.empty()) models::save_model(flags.save, *model.network, model.card);
}

void keep_answers(PredictionsFile& kept, const train::Presentation& shown, const Tensor& outputs,
                  const io::Dataset& dataset, std::span<const int64_t> samples,
                  const io::Preprocess& preprocess) {
  Tensor answers = shown.readable(outputs);
  const auto width = static_cast<size_t>(answers.numel() / std::ssize(samples));
  for (size_t i = 0; i < samples.size(); ++i) {
    if (shown.has_places()) {
      const io::BoxedImage image = dataset.boxes(samples[i]);
      shown.place({answers.mutable_data<float>() + i * width, width},
                  io::input_geometry(preprocess, {}, image.width, image.height, nullptr));
    }
    kept.add(dataset.name(samples[i]), shown.true_cells(dataset, samples[i]),
             std::span(answers.data<float>() + i * width, width));
  }
}

nlohmann::ordered_json suspects_json(const std::vector<train::Suspect>& suspects,
                                     const io::Dataset& judged) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const train::Suspect& one : suspects)
    list.push_back({{"path", printable(judged.name(one.sample))},
                    {"label", printable(one.truth)},
                    {"rather", printable(one.rather)},
                    {"margin", one.margin}});
  return list;
}

int evaluate(const EvaluateFlags& flags) {
  const bool int8 = flags.precision == "int8";
  GRAFT_CHECK(int8 || flags.calibrate.empty(), "--calibrate is for --precision int8");
  GRAFT_CHECK(flags.save.empty() || !flags.calibrate.empty(),
              "--save keeps what --calibrate finds");
  GRAFT_CHECK(flags.save.empty() || flags.save.ends_with(".safetensors"), flags.save,
              ": models are written as .safetensors");
  for (const std::string& file : {flags.save, flags.report})
    if (!file.empty()) check_writable(file);
  ExecContext context(flags.threads);
  const ScopedExecContext scope(context);
  const Device device = open_named_device(flags.device, flags.precision);
  models::Model model = load_with_head(flags.model, flags.source).model;
  const std::shared_ptr<const train::Task> task =
      task_answering_from(model, flags.least_confidence);
  const auto shown = task->presentation();
  if (flags.specificity && !shown->score_with({}))
    fail(ErrorCode::usage, "--specificity is for models of task classify, this one is of task ",
         task->name());
  std::optional<PredictionsFile> kept;
  if (!flags.predictions.empty()) kept.emplace(flags.predictions, *shown);
  const io::AnswerKind answers = train::answers_for(task->name());
  calibrate_model(model, flags, answers);
  model.network->to(device);
  apply_resize(model.card.preprocess, flags.resize);
  apply_window(model.card.preprocess, flags.window);
  TrainingData opened =
      open_summarized(flags.data,
                      {.columns = flags.columns,
                       .masks = flags.masks,
                       .answers = answers,
                       .need_train = false,
                       .group_pattern = flags.group_pattern},
                      flags.broken, train::input_of_model(model.card.preprocess, flags.input.input),
                      0, model.card.preprocess.window);
  io::OpenedData& data = opened.opened;
  doubt_shapes(opened, model.card.preprocess);
  const auto images =
      task->to_judge(data, flags.data, [](const std::string& note) { say("note: ", note); });
  const auto judged = train::to_judge_on(images, model.card.preprocess);  // maybe in windows
  const train::AnswersHeard keep = [&](const Tensor& outputs, std::span<const int64_t> samples) {
    keep_answers(*kept, *shown, outputs, *judged, samples, model.card.preprocess);
  };
  ProgressBar bar;
  const auto in = [&](const std::string& precision) {
    train::PrefixRunner run(*model.network, model.network->stages().size(),
                            precision_named(precision),
                            calibration_for(precision, model.card, flags.model));
    std::unique_ptr<train::Metric> metric = train::judge(
        run, judged, model.card.preprocess, task, 32,
        [&](int64_t done, int64_t total) { bar.update("evaluating", done, total); },
        kept && precision == flags.precision ? keep : nullptr);
    bar.clear();
    say_refusal(run.refusal(), precision);
    return metric;
  };
  (void)shown->score_with({io::sample_groups(*judged), flags.specificity.value_or(0.9)});
  const std::unique_ptr<train::Metric> own = in(flags.precision);
  std::unique_ptr<train::Metric> whole;
  if (int8) whole = in("fp32");
  if (const std::string changed = say_changed_files(data); !changed.empty())
    opened.summary.notes.push_back(changed);
  if (!flags.report.empty()) {
    const train::Metric& first = whole ? *whole : *own;
    RunReport report{.title = str("evaluation of ", file_name(flags.model)),
                     .results = shown->html(first, whole ? own.get() : nullptr, "int8")};
    report.facts = {{"model", models::describe(model.card.architecture)},
                    {data.files.many, thousands(images->size())}};
    for (const auto& fact : shown->facts(first, 0)) report.facts.push_back(fact);
    if (own->not_finite() > 0)
      report.facts.emplace_back("answers that are not finite", thousands(own->not_finite()));
    if (whole)
      report.facts.emplace_back(task->scores()[0].name + " in int8", fixed(own->score(), 4));
    const auto pictured = train::to_judge_on(judged, model.card.preprocess);
    const AskNetwork ask = [&](const std::vector<int64_t>& samples) {
      train::PrefixRunner run(*model.network, model.network->stages().size());
      return outputs_for(run, pictured, model.card.preprocess, task, samples);
    };
    report.pictures = pictures_html({nullptr, pictured, model.card.preprocess,
                                     why_by(*model.network, pictured, model.card.preprocess)},
                                    *shown, first, ask);
    report.facts.emplace_back("data", flags.data);
    report.facts.emplace_back("command", command_text());
    report.facts.emplace_back("graft", GRAFT_VERSION);
    write_file_atomically(flags.report, report_html(report));
  }
  if (kept) kept->write();
  if (flags.json) {
    nlohmann::ordered_json j = nlohmann::ordered_json::parse(shown->json(*own));
    j["data"] = nlohmann::ordered_json::parse(opened.summary.to_json());
    const std::vector<train::Suspect> suspects = shown->suspects(*own);
    if (!suspects.empty()) j["label_issues"] = suspects_json(suspects, *judged);
    if (whole) j["fp32"] = nlohmann::ordered_json::parse(shown->json(*whole));
    result(j);
  } else {
    const size_t suspects = shown->suspects(*own).size();
    if (suspects > 0)
      say("note: ", thousands(static_cast<int64_t>(suspects)),
          " labels may be wrong, by confident learning; --json lists them, --report shows some");
    result(shown->text(*own) + (whole ? shown->comparison(*whole, *own, "int8") : ""));
  }
  const int64_t not_finite = std::max(own->not_finite(), whole ? whole->not_finite() : 0);
  return say_not_finite(not_finite, own->samples(), flags.strict);
}

}  // namespace

void add_evaluate(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "evaluate",
      "How well a model does on a data set: accuracy, per class, confusion matrix; of several "
      "labels or numbers their own scores");
  auto f = std::make_shared<EvaluateFlags>();
  verb->add_option("MODEL", f->model, "A model of graft, or any weight file with a classifier")
      ->required();
  verb->add_option("--data", f->data,
                   "The images: their val or test part when there is one, else all")
      ->required()
      ->type_name("PATH");
  verb->add_option("--threads", f->threads, "Compute threads (0: one per core)")
      ->transform(whole_number(0, 1024))
      ->type_name("N");
  verb->add_option("--least-confidence", f->least_confidence, kLeastConfidenceHelp)
      ->transform(real_number(0, 1))
      ->type_name("C");
  verb->add_option("--precision", f->precision, kPrecisionHelp)
      ->check(CLI::IsMember({"fp32", "bf16", "fp16", "int8"}))
      ->type_name("P");
  add_source_flags(*verb, f->source, ClassNames::asked_for);
  add_device_flags(*verb, f->device);
  add_input_flag(*verb, f->input);
  add_column_flags(*verb, f->columns);
  add_group_flags(*verb, f->columns, f->group_pattern);
  add_mask_flags(*verb, f->masks);
  add_resize_flag(*verb, f->resize);
  add_window_flag(*verb, f->window);
  add_pixel_flag(*verb);
  verb->add_option("--broken", f->broken,
                   "Share of broken images that is left out; with more the verb stops")
      ->transform(real_number(0, 1))
      ->type_name("SHARE");
  verb->add_option("--specificity", f->specificity,
                   "At which the sensitivity of each class is told (default 0.9)")
      ->transform(real_number(0, 1))
      ->type_name("SHARE");
  verb->add_option("--calibrate", f->calibrate,
                   "For int8: images like those to come (the training part of a data set); up to "
                   "256 are used")
      ->type_name("PATH");
  verb->add_option("--save", f->save,
                   "With --calibrate: the model with what was found, so that --precision int8 "
                   "needs nothing more")
      ->type_name("FILE");
  verb->add_option("--predictions", f->predictions,
                   "A table of every image: path, what is true and predicted, and of labels the "
                   "probability of each (.csv or .jsonl)")
      ->type_name("FILE");
  verb->add_option("--report", f->report, "An HTML page of the result")->type_name("FILE");
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->add_flag("--strict", f->strict, kStrictHelp);
  verb->footer(
      "Example:\n  graft evaluate run/model.safetensors --data photos\n"
      "  graft evaluate run/model.safetensors --data photos --precision int8 --calibrate photos "
      "--save int8.safetensors\n"
      "With int8 the answer says what it costs: accuracy, and recall per class, beside fp32.");
  verb->callback([&action, f] { action = [f] { return evaluate(*f); }; });
}

}  // namespace graft::tools
