// graft features: what stands before the classifier, for every image of a data set, as an .npz.
#include "graft/train/features.h"

#include <CLI/CLI.hpp>
#include <optional>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/models/graph/graph_import.h"
#include "graft/tools/column_flags.h"
#include "graft/tools/device.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/input_flags.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/pixel_flag.h"
#include "graft/tools/progress.h"
#include "graft/tools/resize_flag.h"
#include "graft/tools/training_data.h"
#include "graft/tools/verbs.h"
#include "graft/train/metrics.h"

namespace graft::tools {
namespace {

struct FeatureFlags {
  std::string model, data, out, cut = "auto", channels = "repeat", precision = "fp32", resize,
                                window;
  io::TableColumns columns;
  InputFlags input;
  double broken = io::kToleratedBrokenShare;
  DeviceFlags device;
  SourceFlags source;
  std::string image_size;
  int threads = 0;
  bool strict = false;
};

// What the images are answered by: classes i64 [N]; of several labels 0 and 1, i64 [N,C]; numbers,
// f64 [N,C].
Tensor answers_of(const io::Dataset& part, const io::OpenedData& data) {
  const int64_t columns = std::ssize(data.classes);
  if (data.answers == io::AnswerKind::numbers) {
    std::vector<double> numbers;
    for (int64_t i = 0; i < part.size(); ++i)
      for (const double number : part.numbers(i)) numbers.push_back(number);
    return Tensor::of<double>({part.size(), columns}, numbers);
  }
  if (data.answers == io::AnswerKind::one_label) {
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < part.size(); ++i) labels.push_back(part.label(i));
    return Tensor::of<int64_t>({part.size()}, labels);
  }
  Tensor there = Tensor::zeros({part.size(), columns}, {.dtype = DType::i64});
  int64_t* row = there.mutable_data<int64_t>();
  for (int64_t i = 0; i < part.size(); ++i, row += columns)
    for (const int64_t label : part.labels(i)) row[label] = 1;
  return there;
}

int features(const FeatureFlags& flags) {
  if (!flags.out.ends_with(".npz"))
    fail(ErrorCode::usage, flags.out, ": features are written as .npz");
  check_writable(flags.out);
  ExecContext context(flags.threads);
  const ScopedExecContext scope(context);
  const Device device = open_named_device(flags.device, flags.precision);
  models::Imported imported = models::import_weights(
      flags.model,
      flags.source.options({.cut = flags.cut, .channels = channel_rule(flags.channels)}));
  apply_source_flags(flags.source, imported);
  models::Model model = std::move(imported.model);
  const train::ChosenInput input =
      model.card.preprocess.input.empty()
          ? train::choose_input(flags.input.input, flags.data)
          : train::input_of_model(model.card.preprocess, flags.input.input);
  input.input->enter(model.card.preprocess, flags.input.settings);
  apply_image_size(model.card.preprocess, flags.image_size);
  apply_resize(model.card.preprocess, flags.resize);
  apply_window(model.card.preprocess, flags.window);
  TrainingData opened = open_summarized(flags.data,
                                        {.columns = flags.columns,
                                         .answers = io::AnswerKind::by_form,
                                         .val_split = 0,
                                         .least_classes = 1},
                                        flags.broken, input, 0, model.card.preprocess.window);
  const io::OpenedData& data = opened.opened;
  if (!data.answers_why.empty())
    say("note: y holds ",
        data.answers == io::AnswerKind::numbers          ? "numbers"
        : data.answers == io::AnswerKind::several_labels ? "a 0 or 1 for each label"
        : data.answers == io::AnswerKind::maps ? "a 0 or 1 for each class that a mask has or not"
        : data.answers == io::AnswerKind::boxes
            ? "a 0 or 1 for each class that an object is of or not"
        : data.answers == io::AnswerKind::text
            ? "a 0 or 1 for each character that a text has or not"
            : "classes",
        ", because ", printable(data.answers_why));
  doubt_shapes(opened, model.card.preprocess);
  models::remove_classifier(model);
  check_on_images(model, data.train ? data.train : data.val, imported.certificate);
  if (imported.certificate.naming != models::kGraftNaming) say_text(imported.certificate.to_text());
  model.network->to(device);
  const bool head = models::classes_of(model.card.architecture) > 0;
  train::PrefixRunner prefix(*model.network, model.network->stages().size() - (head ? 1 : 0),
                             precision_named(flags.precision),
                             calibration_for(flags.precision, model.card, flags.model));
  StateDict arrays;
  ProgressBar bar;
  int64_t not_finite = 0, all = 0;
  for (const bool val : {false, true}) {
    std::shared_ptr<const io::Dataset> part = val ? data.val : data.train;
    if (!part) continue;
    train::BatchLoader loader(part, model.card.preprocess, {.device = device, .cache_bytes = 0});
    const train::FeatureSet set =
        train::extract_features(prefix, loader, [&](int64_t done, int64_t total) {
          bar.update(val ? "features, val" : "features", done, total);
        });
    if (arrays.size() == 0) say_refusal(prefix.refusal(), flags.precision);
    not_finite += train::rows_not_finite(set.features);
    all += set.targets.samples();
    arrays.add(val ? "x_val" : "x", set.features);
    arrays.add(val ? "y_val" : "y", answers_of(*part, data));
  }
  bar.clear();
  say_changed_files(data);
  if (const int code = say_not_finite(not_finite, all, flags.strict); code != 0) return code;
  io::write_npz(flags.out, arrays);
  std::string text;
  for (const auto& [name, tensor] : arrays)
    text += str(name, " ", std::string(name_of(tensor.dtype())), " ", tensor.shape(), "\n");
  result(str(printable(flags.out), "\n", text, "classes: ", printable(join(data.classes)), "\n"));
  return 0;
}

}  // namespace

void add_features(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "features", "The features before the classifier, and the labels, of every image");
  auto f = std::make_shared<FeatureFlags>();
  verb->add_option("MODEL", f->model, "A model of graft or any weight file")->required();
  verb->add_option("--data", f->data, "The images or sounds")->required()->type_name("PATH");
  verb->add_option("--out", f->out,
                   "An .npz with x, y (classes, 0 and 1 for each label, or numbers) and, when the "
                   "data has such a part, x_val, y_val")
      ->required()
      ->type_name("FILE");
  verb->add_option("--cut", f->cut,
                   "auto, or a stage (layer3, features.4): features after it, pooled")
      ->type_name("STAGE");
  verb->add_option("--channels", f->channels, "repeat or sum-conv1")
      ->check(CLI::IsMember({"repeat", "sum-conv1"}))
      ->type_name("RULE");
  verb->add_option("--image-size", f->image_size,
                   "Side of the network's input, or height and width (default: the model's)")
      ->transform(image_sides(8, 4096))
      ->type_name("N|HxW");
  verb->add_option("--precision", f->precision, kPrecisionHelp)
      ->check(CLI::IsMember({"fp32", "bf16", "fp16", "int8"}))
      ->type_name("P");
  add_source_flags(*verb, f->source, ClassNames::from_data);
  add_device_flags(*verb, f->device);
  add_input_flags(*verb, f->input);
  add_column_flags(*verb, f->columns);
  add_resize_flag(*verb, f->resize);
  add_window_flag(*verb, f->window);
  add_pixel_flag(*verb);
  verb->add_option("--broken", f->broken,
                   "Share of broken images that is left out; with more the verb stops")
      ->transform(real_number(0, 1))
      ->type_name("SHARE");
  verb->add_option("--threads", f->threads, "Compute threads (0: one per core)")
      ->transform(whole_number(0, 1024))
      ->type_name("N");
  verb->add_flag("--strict", f->strict,
                 "Exit code 3, and no file, when features are not finite numbers (NaN, infinity)");
  verb->footer("Example:\n  graft features resnet18.safetensors --data photos --out features.npz");
  verb->callback([&action, f] { action = [f] { return features(*f); }; });
}

}  // namespace graft::tools
