// graft predict: images in, labels or numbers out, with the preprocessing stored in the model.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "graft/api/deciding_words.h"
#include "graft/api/predictor.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/images/png_writer.h"
#include "graft/io/input_geometry.h"
#include "graft/tools/box_files.h"
#include "graft/tools/device.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/input_flags.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/pixel_flag.h"
#include "graft/tools/predictions.h"
#include "graft/tools/resize_flag.h"
#include "graft/tools/sample_arguments.h"
#include "graft/tools/verbs.h"
#include "graft/train/inputs/table.h"
#include "graft/train/inputs/text/text_input.h"

namespace graft::tools {
namespace {

struct PredictFlags {
  std::string model;
  std::vector<std::string> images;
  std::string precision = "fp32", resize, window, predictions, out, coco, yolo;
  io::TableColumns columns;  // of tables of paths
  InputFlags input;
  DeviceFlags device;
  SourceFlags source;
  int64_t top = 1;
  double least_confidence = 0;
  bool json = false;
  bool strict = false;
};

// Pictures of answers that are maps or boxes, of each photo's own size.
class PictureFolder {
 public:
  // Before any work: there are pictures, and a folder for them.
  PictureFolder(const Predictor& predictor, std::string folder)
      : predictor_(predictor), folder_(std::move(folder)) {
    GRAFT_CHECK(predictor.presentation().has_pictures(),
                "--out is for models that segment or find objects; this one's answers are no "
                "maps or boxes");
    file_system().create_directories(folder_);
  }

  // DIR/NAME_classes.png, DIR/NAME_boxes.png and the like; of images of one name the later get
  // numbers.
  void write(const std::string& name, const ImageSource& source, const Answer& answer) {
    const io::Image photo = dataset_of({&source, 1})->image(0);
    const std::string stem = names_.stem(name);
    for (const train::Picture& picture :
         predictor_.presentation().pictures(maps_of(answer, photo), photo))
      io::write_png(join_path(folder_, str(stem, "_", picture.what, ".png")), picture.image,
                    picture.palette);
  }

 private:
  train::Presentation::Maps maps_of(const Answer& answer, const io::Image& photo) const {
    const io::Preprocess& p = predictor_.preprocess();
    const std::span row(answer.values().data<float>(),
                        static_cast<size_t>(answer.values().numel()));
    if (p.own_scale)
      return {row, photo.height, photo.width, {{photo.width, 0, 1}, {photo.height, 0, 1}, false}};
    return {row, p.size, p.input_width(),
            io::input_geometry(p, {}, photo.width, photo.height, nullptr)};
  }

  const Predictor& predictor_;
  std::string folder_;
  PictureNames names_;
};

// Shows the answers as they come, and keeps what is told at the end.
class Answers {
 public:
  Answers(const Predictor& predictor, const PredictFlags& flags)
      : predictor_(predictor), flags_(flags) {
    if (!flags.predictions.empty()) kept_.emplace(flags.predictions, predictor.presentation());
    if (!flags.out.empty()) pictures_.emplace(predictor, flags.out);
    if (!flags.coco.empty() || !flags.yolo.empty())
      boxes_.emplace(predictor, flags.coco, flags.yolo);
  }

  void add(const std::string& name, const ImageSource& source, const Answer& answer) {
    if (!answer.error().empty()) return refuse(name, answer.error());
    if (!said_) say_refusal(predictor_.refusal(), flags_.precision);
    said_ = true;
    ++answered_;
    not_finite_ += !answer.is_finite();
    show(name, source, answer);
    if (pictures_) pictures_->write(name, source, answer);
    if (boxes_) {
      const io::Image photo = dataset_of({&source, 1})->image(0);
      boxes_->add(name, answer, photo.width, photo.height);
    }
    if (kept_)
      kept_->add(name, {}, {answer.values().data<float>(), size_t(answer.values().numel())});
  }

  // The exit code.
  int finish() const {
    if (kept_) kept_->write();
    if (boxes_) boxes_->write();
    if (flags_.json) result(document_);
    const int code = say_not_finite(not_finite_, answered_, flags_.strict);
    if (broken_ > 0 && broken_ + answered_ > 1)
      say(thousands(broken_), " of ", thousands(broken_ + answered_), " ", kind_,
          " could not be read");
    return broken_ > 0 ? static_cast<int>(ErrorCode::bad_input) : code;
  }

 private:
  void refuse(const std::string& name, const std::string& reason) {
    ++broken_;
    if (kept_) kept_->add_broken(name, reason);
    if (flags_.json) document_.push_back({{"path", name}, {"error", reason}});
    say("graft: ", reason);
  }

  void show(const std::string& name, const ImageSource& source, const Answer& answer) {
    if (!flags_.json) return result(printable(name) + "\t" + answer.text(flags_.top) + "\n");
    nlohmann::ordered_json entry = {{"path", name}};
    entry.update(nlohmann::ordered_json::parse(answer.json(flags_.top)));
    if (train::input_of(predictor_.preprocess())->files().is_texts())
      add_words(source, answer, entry);
    document_.push_back(std::move(entry));
  }

  // The words that speak for what is said first, or for the only number.
  void add_words(const ImageSource& source, const Answer& answer,
                 nlohmann::ordered_json& entry) const {
    constexpr int64_t kMostWords = 5;
    const std::vector<train::NamedValue> said = answer.said(1);
    const std::vector<std::string>& labels = predictor_.labels();
    if (said.empty()) return;
    const auto place = std::find(labels.begin(), labels.end(), said[0].name) - labels.begin();
    if (place == std::ssize(labels)) return;
    std::vector<std::byte> bytes;
    const auto dataset = dataset_of({&source, 1});
    const std::string_view text = train::sample_text(*dataset, 0, bytes);
    nlohmann::ordered_json words = nlohmann::ordered_json::array();
    for (const DecidingWord& word : deciding_words(predictor_.model(), text, place, kMostWords))
      if (word.weight > 0)
        words.push_back({{"word", word.word},
                         {"begin", word.begin},
                         {"end", word.end},
                         {"weight", word.weight}});
    entry["words"] = std::move(words);
  }

  const Predictor& predictor_;
  const PredictFlags& flags_;
  const std::string kind_ = train::input_of(predictor_.preprocess())->files().many;
  std::optional<PredictionsFile> kept_;
  std::optional<PictureFolder> pictures_;
  std::optional<BoxFiles> boxes_;
  bool said_ = false;
  int64_t not_finite_ = 0, answered_ = 0, broken_ = 0;
  nlohmann::ordered_json document_ = nlohmann::ordered_json::array();
};

int predict(const PredictFlags& flags) {
  models::Imported imported = load_with_head(flags.model, flags.source);
  const train::ChosenInput chosen =
      train::input_of_model(imported.model.card.preprocess, flags.input.input);
  if (!chosen.why.empty()) say("input: ", chosen.input->name(), ", ", chosen.why);
  const SampleArguments samples(flags.images, flags.columns, chosen.input->files());
  apply_resize(imported.model.card.preprocess, flags.resize);
  apply_window(imported.model.card.preprocess, flags.window);
  calibration_for(flags.precision, imported.model.card, flags.model);
  const Device device = open_named_device(flags.device, flags.precision);
  const Predictor predictor(
      std::move(imported),
      {.precision = flags.precision, .device = device, .least_confidence = flags.least_confidence});
  Answers answers(predictor, flags);
  constexpr size_t kBatch = 16;
  for (size_t begin = 0; begin < samples.size(); begin += kBatch) {
    std::vector<ImageSource> images;
    for (size_t i = begin; i < std::min(samples.size(), begin + kBatch); ++i)
      images.push_back(samples.source(i));
    const std::vector<Answer> found = predictor.predict(images);
    for (size_t i = 0; i < found.size(); ++i)
      answers.add(samples.name(begin + i), images[i], found[i]);
  }
  return answers.finish();
}

}  // namespace

void add_predict(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "predict", "Labels or numbers for images, with the preprocessing stored in the model");
  auto f = std::make_shared<PredictFlags>();
  verb->add_option("MODEL", f->model, "A model of graft, or any weight file with a classifier")
      ->required();
  verb->add_option("IMAGE", f->images,
                   "Images, sounds or texts, folders of them, tables of paths (.csv .tsv .txt "
                   ".jsonl; of texts tables of those), or - for standard input (of texts one a "
                   "line)")
      ->required();
  verb->add_option("--top", f->top,
                   "How many labels per image, of a model that gives one of several")
      ->transform(whole_number(1, 1000000))
      ->type_name("K");
  verb->add_option("--least-confidence", f->least_confidence, kLeastConfidenceHelp)
      ->transform(real_number(0, 1))
      ->type_name("C");
  verb->add_option("--precision", f->precision, kPrecisionHelp)
      ->check(CLI::IsMember({"fp32", "bf16", "fp16", "int8"}))
      ->type_name("P");
  add_source_flags(*verb, f->source, ClassNames::asked_for);
  add_device_flags(*verb, f->device);
  verb->add_option("--image-column,--text-column", f->columns.image,
                   "Of a table: the column that names images, or holds texts (default: found)")
      ->type_name("COLUMN");
  verb->add_option("--root", f->columns.root,
                   "Of a table: the folder that its paths start from (default: its own)")
      ->type_name("FOLDER");
  add_input_flag(*verb, f->input);
  add_resize_flag(*verb, f->resize);
  add_window_flag(*verb, f->window);
  add_pixel_flag(*verb);
  verb->add_option("--predictions", f->predictions,
                   "Besides, a table of every image: path, what is predicted, and of labels the "
                   "probability of each (.csv or .jsonl)")
      ->type_name("FILE");
  verb->add_option("--out", f->out,
                   "Of a model that segments: a folder for pictures of each image's own size: "
                   "NAME_classes.png (the number of each pixel's class, with a palette), "
                   "NAME_probability.png and NAME_overlay.png; of one that finds objects: "
                   "NAME_boxes.png")
      ->type_name("DIR");
  verb->add_option("--coco", f->coco,
                   "Of a model that finds objects: all boxes found as COCO's results (.json)")
      ->type_name("FILE");
  verb->add_option("--yolo", f->yolo,
                   "Of a model that finds objects: a folder for YOLO's lines of the boxes that are "
                   "said, NAME.txt: class x y width height score")
      ->type_name("DIR");
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->add_flag("--strict", f->strict, kStrictHelp);
  verb->footer(
      "Example:\n  graft predict run/model.safetensors photo.jpg --top 3\n"
      "An image that cannot be read is named on stderr; the others are answered, and the exit code "
      "is 3.");
  verb->callback([&action, f] { action = [f] { return predict(*f); }; });
}

}  // namespace graft::tools
