// graft evaluate: accuracy, recall and precision per class and the confusion matrix of a model on a
// data set.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/io/datasets/class_names.h"
#include "graft/tools/column_flags.h"
#include "graft/tools/device.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/pixel_flag.h"
#include "graft/tools/predictions.h"
#include "graft/tools/progress.h"
#include "graft/tools/report.h"
#include "graft/tools/resize_flag.h"
#include "graft/tools/training_data.h"
#include "graft/tools/verbs.h"
#include "graft/train/loader.h"
#include "graft/train/tasks/classification/classification.h"

namespace graft::tools {
namespace {

// The images of a data set under the model's labels, matched by name; without names in the model,
// by count. Classes that the model does not know are left out and said.
std::shared_ptr<const io::Dataset> under_labels(const models::ModelCard& card,
                                                const io::OpenedData& data,
                                                const std::string& path) {
  const std::vector<std::string>& classes = data.classes;
  if (card.labels.empty()) {
    const int64_t count = models::classes_of(card.architecture);
    GRAFT_CHECK(std::ssize(classes) <= count, path, ": has ", classes.size(),
                " classes, the model ", count);
    return data.val;
  }
  const auto found = io::matched_classes(classes, card.labels);
  std::vector<std::string> unknown;
  for (size_t i = 0; i < classes.size(); ++i)
    if (found[i] < 0) unknown.push_back(classes[i]);
  GRAFT_CHECK(unknown.size() < classes.size(), path, ": none of its classes (",
              io::short_list(classes), ") is one of the model's: ", io::short_list(card.labels));
  const auto known = io::relabelled(data.val, found);
  if (!unknown.empty())
    say("note: left out: ", thousands(data.val->size() - known->size()), " of ",
        thousands(data.val->size()),
        " images, of classes that the model does not know: ", io::short_list(unknown));
  return known;
}

nlohmann::ordered_json document(const train::Evaluation& e,
                                const std::vector<std::string>& labels) {
  nlohmann::ordered_json j = {{"accuracy", e.accuracy()},
                              {"macro_f1", e.macro_f1()},
                              {"loss", e.loss()},
                              {"correct", e.correct()},
                              {"images", e.samples()}};
  if (e.not_finite() > 0) j["not_finite"] = e.not_finite();
  nlohmann::ordered_json classes = nlohmann::ordered_json::array(),
                         confusion = nlohmann::ordered_json::array();
  for (int64_t label = 0; label < e.classes(); ++label) {
    int64_t images = 0;
    nlohmann::ordered_json row = nlohmann::ordered_json::array();
    for (int64_t p = 0; p < e.classes(); ++p) {
      images += e.confusion(label, p);
      row.push_back(e.confusion(label, p));
    }
    confusion.push_back(row);
    classes.push_back({{"label", labels[static_cast<size_t>(label)]},
                       {"images", images},
                       {"recall", e.recall(label)},
                       {"precision", e.precision(label)}});
  }
  j["classes"] = classes;
  j["confusion"] = confusion;  // [true][predicted]
  return j;
}

// Class names as they are shown.
std::vector<std::string> shown(std::vector<std::string> labels) {
  for (std::string& label : labels) label = printable(label);
  return labels;
}

std::string padded(std::string text, size_t width, bool right = false) {
  if (text.size() < width) text.insert(right ? 0 : text.size(), width - text.size(), ' ');
  return text;
}

std::string text_of(const train::Evaluation& e, const std::vector<std::string>& labels) {
  constexpr int64_t kMatrix = 20;
  std::string out =
      str("accuracy ", fixed(e.accuracy(), 4), " (", e.correct(), " of ", e.samples(),
          " images), macro-F1 ", fixed(e.macro_f1(), 4), ", loss ", fixed(e.loss(), 4), "\n\n");
  size_t width = 5;
  for (const std::string& label : labels) width = std::max(width, label.size());
  out += padded("class", width) + "  images  recall  precision\n";
  for (int64_t l = 0; l < e.classes(); ++l) {
    int64_t images = 0;
    for (int64_t p = 0; p < e.classes(); ++p) images += e.confusion(l, p);
    out += str(padded(labels[static_cast<size_t>(l)], width), "  ",
               padded(std::to_string(images), 6, true), "  ",
               images > 0 ? fixed(e.recall(l), 4) : "     -", "  ", fixed(e.precision(l), 4), "\n");
  }
  if (e.classes() > kMatrix)
    return out + str("\nthe confusion matrix of ", e.classes(), " classes is in --json\n");
  out += "\nconfusion matrix (a row a true class, a column a predicted one)\n";
  for (int64_t l = 0; l < e.classes(); ++l) {
    out += padded(labels[static_cast<size_t>(l)], width);
    for (int64_t p = 0; p < e.classes(); ++p)
      out += padded(std::to_string(e.confusion(l, p)), 7, true);
    out += "\n";
  }
  return out;
}

// train::evaluate, which keeps each answer.
train::Evaluation evaluate_keeping(train::PrefixRunner& run,
                                   const std::shared_ptr<const io::Dataset>& dataset,
                                   const models::ModelCard& card, int64_t classes,
                                   PredictionsFile& kept,
                                   const std::function<void(int64_t, int64_t)>& progress) {
  train::BatchLoader loader(dataset, card.preprocess, {.batch = 32, .device = run.device()});
  train::Evaluation evaluation(classes);
  loader.start(0);
  train::Batch batch;
  while (loader.next(batch)) {
    const Tensor logits = run(batch.x), labels = batch.targets.one();
    evaluation.add_logits(logits, labels);
    const Tensor probabilities = probabilities_of(logits, card.activation);
    for (int64_t i = 0; i < std::ssize(batch.samples); ++i)
      kept.add(dataset->name(batch.samples[static_cast<size_t>(i)]),
               kept.name(labels.data<int64_t>()[i]),
               probabilities.data<float>() + i * probabilities.size(1));
    progress(evaluation.samples(), loader.samples());
  }
  return evaluation;
}

struct EvaluateFlags {
  std::string model, data, precision = "fp32", calibrate, save, report, resize, predictions;
  io::TableColumns columns;
  double broken = io::kToleratedBrokenShare;
  DeviceFlags device;
  SourceFlags source;
  bool json = false, strict = false;
  int threads = 0;
};

// What int8 costs: accuracy, and recall per class, beside fp32's.
std::string comparison_text(const train::Evaluation& whole, const train::Evaluation& int8,
                            const std::vector<std::string>& labels) {
  std::string out = str("\nint8 beside fp32: accuracy ", fixed(int8.accuracy(), 4), " and ",
                        fixed(whole.accuracy(), 4), "\n");
  size_t width = 5;
  for (const std::string& label : labels) width = std::max(width, label.size());
  out += padded("class", width) + "  recall int8  recall fp32    lost\n";
  for (int64_t l = 0; l < whole.classes(); ++l)
    out += str(padded(labels[static_cast<size_t>(l)], width), "  ",
               padded(fixed(int8.recall(l), 4), 11, true), "  ",
               padded(fixed(whole.recall(l), 4), 11, true), "  ",
               padded(fixed(whole.recall(l) - int8.recall(l), 4), 6, true), "\n");
  return out;
}

void calibrate_model(models::Model& model, const EvaluateFlags& flags) {
  if (flags.calibrate.empty()) return;
  apply_resize(model.card.preprocess, flags.resize);
  io::OpenedData data = io::open_data(flags.calibrate, {.val_split = 0, .least_classes = 1});
  data.train = io::without_broken_images(data.train, flags.broken, data.notes);
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
  models::Model model = load_classifier(flags.model, flags.source);
  const int64_t classes = models::classes_of(model.card.architecture);
  std::vector<std::string> labels = model.card.labels;
  for (int64_t i = std::ssize(labels); i < classes; ++i) labels.push_back(str("class ", i));
  std::optional<PredictionsFile> kept;
  if (!flags.predictions.empty()) kept.emplace(flags.predictions, labels);
  calibrate_model(model, flags);
  model.network->to(device);
  apply_resize(model.card.preprocess, flags.resize);
  TrainingData opened =
      open_summarized(flags.data, {.columns = flags.columns, .need_train = false}, flags.broken);
  io::OpenedData& data = opened.opened;
  doubt_shapes(opened, model.card.preprocess);
  const auto relabelled = under_labels(model.card, data, flags.data);
  ProgressBar bar;
  const auto in = [&](const std::string& precision) {
    train::PrefixRunner run(*model.network, model.network->stages().size(),
                            precision_named(precision),
                            calibration_for(precision, model.card, flags.model));
    const auto progress = [&](int64_t done, int64_t total) {
      bar.update("evaluating", done, total);
    };
    const train::Evaluation e =
        kept && precision == flags.precision
            ? evaluate_keeping(run, relabelled, model.card, classes, *kept, progress)
            : train::evaluate(run, relabelled, model.card.preprocess, classes, 32, progress);
    bar.clear();
    say_refusal(run, precision);
    return e;
  };
  const train::Evaluation e = in(flags.precision);
  std::optional<train::Evaluation> whole;
  if (int8) whole = in("fp32");
  if (const std::string changed = say_changed_files(data); !changed.empty())
    opened.summary.notes.push_back(changed);
  if (!flags.report.empty()) {
    RunReport report{.title = str("evaluation of ", file_name(flags.model)),
                     .classes = labels,
                     .confusion = (whole ? *whole : e).rows()};
    report.facts = {{"model", models::describe(model.card.architecture)},
                    {"images", std::to_string(e.samples())},
                    {"accuracy", fixed((whole ? *whole : e).accuracy(), 4)}};
    if (e.not_finite() > 0)
      report.facts.emplace_back("answers that are not finite", thousands(e.not_finite()));
    if (whole)
      report.facts.emplace_back("accuracy in int8", fixed(e.accuracy(), 4)),
          report.int8_confusion = e.rows();
    write_file_atomically(flags.report, report_html(report));
  }
  if (kept) kept->write();
  if (flags.json) {
    nlohmann::ordered_json j = document(e, labels);
    j["data"] = nlohmann::ordered_json::parse(opened.summary.to_json());
    if (whole) j["fp32"] = document(*whole, labels);
    result(j);
  } else {
    result(text_of(e, shown(labels)) + (whole ? comparison_text(*whole, e, shown(labels)) : ""));
  }
  const int64_t not_finite = std::max(e.not_finite(), whole ? whole->not_finite() : 0);
  return say_not_finite(not_finite, e.samples(), flags.strict);
}

}  // namespace

void add_evaluate(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "evaluate", "Accuracy, per class and confusion matrix, of a model on a data set");
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
  verb->add_option("--precision", f->precision, kPrecisionHelp)
      ->check(CLI::IsMember({"fp32", "bf16", "fp16", "int8"}))
      ->type_name("P");
  add_source_flags(*verb, f->source, ClassNames::asked_for);
  add_device_flags(*verb, f->device);
  add_column_flags(*verb, f->columns);
  add_resize_flag(*verb, f->resize);
  add_pixel_flag(*verb);
  verb->add_option("--broken", f->broken,
                   "Share of broken images that is left out; with more the verb stops")
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
                   "A table of every image: path, true and predicted class, probability of each "
                   "class (.csv or .jsonl)")
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
