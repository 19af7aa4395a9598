// graft predict: images in, labels or numbers out, with the preprocessing stored in the model.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/io/datasets/file_dataset.h"
#include "graft/io/datasets/image_files.h"
#include "graft/io/datasets/path_list.h"
#include "graft/io/images/png_writer.h"
#include "graft/io/input.h"
#include "graft/io/input_geometry.h"
#include "graft/tools/device.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/pixel_flag.h"
#include "graft/tools/predictions.h"
#include "graft/tools/resize_flag.h"
#include "graft/tools/verbs.h"
#include "graft/tools/window_answers.h"
#include "graft/train/features.h"
#include "graft/train/metrics.h"
#include "graft/train/tasks/presentation.h"

namespace graft::tools {
namespace {

struct PredictFlags {
  std::string model;
  std::vector<std::string> images;
  std::string precision = "fp32", resize, predictions, out;
  io::TableColumns columns;  // of tables of paths
  DeviceFlags device;
  SourceFlags source;
  int64_t top = 1;
  bool json = false;
  bool strict = false;
};

// The images that the arguments name: files, "-", tables of paths, and folders, whose other files
// are counted.
std::vector<io::LabelledFile> collect(const std::vector<std::string>& given,
                                      const io::TableColumns& columns) {
  std::vector<io::LabelledFile> files;
  io::PassedOver passed_over;
  for (const std::string& path : given) {
    if (path != "-" && io::is_table(path) && !file_system().is_directory(path)) {
      for (const std::string& image : io::read_path_list(path, columns))
        files.push_back({image, image});
      continue;
    }
    if (path == "-" || !file_system().is_directory(path)) {
      files.push_back({path, path});
      continue;
    }
    std::vector<io::ImageFile> found;
    io::find_images(path, "", found, passed_over);
    for (const io::ImageFile& image : found) files.push_back({image.path, image.short_name});
  }
  if (!passed_over.empty()) say("note: passed over: ", passed_over.to_text());
  return files;
}

// Files named by arguments; "-" is standard input, read once.
class GivenImages final : public io::Dataset {
 public:
  explicit GivenImages(std::vector<io::LabelledFile> files)
      : names_(files), files_(io::file_dataset(std::move(files))) {}
  int64_t size() const override { return files_->size(); }
  int64_t label(int64_t) const override { return 0; }
  std::string name(int64_t i) const override {
    return is_input(i) ? "standard input" : files_->name(i);
  }
  io::Image image(int64_t i) const override {
    return is_input(i) ? io::decode_image(input_, name(i)) : files_->image(i);
  }
  bool encoded(int64_t i, std::vector<std::byte>& bytes) const override {
    if (!is_input(i)) return files_->encoded(i, bytes);
    bytes = input_;
    return true;
  }
  std::string fingerprint() const override { return files_->fingerprint(); }
  bool is_input(int64_t i) const { return names_[static_cast<size_t>(i)].path == "-"; }
  const std::string& given_name(int64_t i) const { return names_[static_cast<size_t>(i)].path; }

  void read_input() {
    constexpr size_t most = size_t{1} << 28;
    std::byte buffer[65536];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;) {
      input_.insert(input_.end(), buffer, buffer + n);
      GRAFT_CHECK(input_.size() <= most, "standard input: more than ", most, " bytes");
    }
  }

 private:
  std::vector<io::LabelledFile> names_;
  std::shared_ptr<const io::Dataset> files_;
  std::vector<std::byte> input_;
};

class Predictor {
 public:
  Predictor(models::Model model, std::shared_ptr<const train::Task> task, const PredictFlags& flags)
      : model_(std::move(model)),
        task_(std::move(task)),
        shown_(task_->presentation()),
        flags_(flags),
        run_(*model_.network, model_.network->stages().size(), precision_named(flags.precision),
             calibration_for(flags.precision, model_.card, flags.model)) {
    model_.network->to(open_named_device(flags.device, flags.precision));
  }

  // Samples [begin, end): each becomes input as in training, so that no decoded image is kept;
  // those that cannot be read are named. Returns how many.
  int64_t answer(const GivenImages& images, int64_t begin, int64_t end) {
    const io::Preprocess& p = model_.card.preprocess;
    if (p.own_scale) {
      int64_t refused = 0;
      for (int64_t i = begin; i < end; ++i) refused += !answer_in_windows(images, i);
      return refused;
    }
    const int64_t numbers = p.channels * p.pixels();
    std::vector<float> inputs(static_cast<size_t>((end - begin) * numbers));
    std::vector<std::string> faults(static_cast<size_t>(end - begin));
    current_context().parallel_for(end - begin, [&](int64_t i) {
      try {
        io::InputMaker maker(p, {});
        maker.input(images, begin + i, nullptr, inputs.data() + i * numbers);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::bad_input) throw;
        faults[static_cast<size_t>(i)] = error.what();
      }
    });
    std::vector<int64_t> whole;
    for (int64_t i = 0; i < end - begin; ++i)
      if (faults[static_cast<size_t>(i)].empty()) whole.push_back(i);
    Tensor x = Tensor::empty({std::ssize(whole), p.channels, p.size, p.input_width()},
                             {.format = MemoryFormat::channels_last});
    float* to = whole.empty() ? nullptr : x.mutable_data<float>();
    for (const int64_t i : whole) to = std::copy_n(inputs.data() + i * numbers, numbers, to);
    const Tensor answers = whole.empty() ? Tensor() : answers_to(x);
    int64_t answered = 0;
    for (int64_t i = 0; i < end - begin; ++i) {
      const std::string& name = images.given_name(begin + i);
      if (const std::string& fault = faults[static_cast<size_t>(i)]; !fault.empty()) {
        refuse(name, fault);
        continue;
      }
      const auto width = static_cast<size_t>(answers.numel() / answers.size(0));
      const std::span row(answers.data<float>() + static_cast<size_t>(answered++) * width, width);
      show(name, row);
      if (!flags_.out.empty()) {
        const io::Image photo = images.image(begin + i);
        write_pictures(images, begin + i, photo,
                       {row, p.size, p.input_width(),
                        io::input_geometry(p, {}, photo.width, photo.height, nullptr)});
      }
      if (kept_) kept_->add(name, {}, row);
    }
    return end - begin - std::ssize(whole);
  }

  // Before any work: there are pictures, and a folder for them.
  void check_pictures() const {
    GRAFT_CHECK(shown_->has_pictures(),
                "--out is for models that segment; this one's answers are "
                "no maps");
    file_system().create_directories(flags_.out);
  }

  void keep_in(const std::string& path) { kept_.emplace(path, *shown_); }

  void refuse(const std::string& name, const std::string& reason) {
    if (kept_) kept_->add_broken(name, reason);
    if (flags_.json) document_.push_back({{"path", name}, {"error", reason}});
    say("graft: ", reason);
  }

  // The exit code, of what was answered.
  int finish() const {
    if (kept_) kept_->write();
    if (flags_.json) result(document_);
    return say_not_finite(not_finite_, answered_, flags_.strict);
  }

 private:
  Tensor answers_to(const Tensor& x) {
    const Tensor answers = shown_->readable(run_(x));
    GRAFT_CHECK(answers.rank() == 2 || answers.rank() == 4, "the network's answers are ",
                answers.shape(), ", a row of numbers or maps for each image are needed");
    not_finite_ += train::rows_not_finite(answers);
    answered_ += x.size(0);
    if (!said_) say_refusal(run_, flags_.precision);
    said_ = true;
    return answers;
  }

  // An image that the network sees in windows.
  bool answer_in_windows(const GivenImages& images, int64_t i) {
    const std::string& name = images.given_name(i);
    io::Image photo;
    try {
      photo = images.image(i);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_input) throw;
      refuse(name, error.what());
      return false;
    }
    const int64_t before = not_finite_;
    const Tensor maps = answers_in_windows(photo, model_.card.preprocess,
                                           [this](const Tensor& x) { return answers_to(x); });
    not_finite_ = before + train::rows_not_finite(maps);
    answered_ = i + 1;
    const std::span row(maps.data<float>(), static_cast<size_t>(maps.numel()));
    show(name, row);
    if (!flags_.out.empty())
      write_pictures(
          images, i, photo,
          {row, photo.height, photo.width, {{photo.width, 0, 1}, {photo.height, 0, 1}, false}});
    if (kept_) kept_->add(name, {}, row);
    return true;
  }

  // DIR/NAME_classes.png and the like; of images of one name the later get numbers.
  void write_pictures(const GivenImages& images, int64_t i, const io::Image& photo,
                      const train::Presentation::Maps& maps) {
    std::string stem = file_name(images.is_input(i) ? "standard_input" : images.given_name(i));
    stem.resize(stem.size() - lower_extension(stem).size());
    const int64_t times = ++written_[stem];
    if (times > 1) stem += str("_", times);
    for (const train::Picture& picture : shown_->pictures(maps, photo))
      io::write_png(join_path(flags_.out, str(stem, "_", picture.what, ".png")), picture.image,
                    picture.palette);
  }

  void show(const std::string& name, std::span<const float> answer) {
    if (!flags_.json)
      return result(printable(name) + "\t" + shown_->answer_text(answer, flags_.top) + "\n");
    nlohmann::ordered_json entry = {{"path", name}};
    entry.update(nlohmann::ordered_json::parse(shown_->answer_json(answer, flags_.top)));
    document_.push_back(std::move(entry));
  }

  models::Model model_;
  std::shared_ptr<const train::Task> task_;
  std::unique_ptr<train::Presentation> shown_;
  const PredictFlags& flags_;
  train::PrefixRunner run_;
  std::optional<PredictionsFile> kept_;
  std::map<std::string, int64_t> written_;  // pictures by the image's name
  bool said_ = false;
  int64_t not_finite_ = 0, answered_ = 0;
  nlohmann::ordered_json document_ = nlohmann::ordered_json::array();
};

int predict(const PredictFlags& flags) {
  models::Model model = load_with_head(flags.model, flags.source);
  std::shared_ptr<const train::Task> task = task_of(model);
  std::vector<io::LabelledFile> files = collect(flags.images, flags.columns);
  GRAFT_CHECK(!files.empty(), join(flags.images), ": there are no images");
  GivenImages images(std::move(files));
  for (int64_t i = 0; i < images.size(); ++i)
    if (images.is_input(i)) {
      images.read_input();
      break;
    }
  apply_resize(model.card.preprocess, flags.resize);
  Predictor predictor(std::move(model), std::move(task), flags);
  if (!flags.out.empty()) predictor.check_pictures();
  if (!flags.predictions.empty()) predictor.keep_in(flags.predictions);
  constexpr int64_t kBatch = 16;
  int64_t broken = 0;
  for (int64_t begin = 0; begin < images.size(); begin += kBatch)
    broken += predictor.answer(images, begin, std::min(images.size(), begin + kBatch));
  const int code = predictor.finish();
  if (broken > 0 && images.size() > 1)
    say(thousands(broken), " of ", thousands(images.size()), " images could not be read");
  return broken > 0 ? static_cast<int>(ErrorCode::bad_input) : code;
}

}  // namespace

void add_predict(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "predict", "Labels or numbers for images, with the preprocessing stored in the model");
  auto f = std::make_shared<PredictFlags>();
  verb->add_option("MODEL", f->model, "A model of graft, or any weight file with a classifier")
      ->required();
  verb->add_option(
          "IMAGE", f->images,
          "Images, folders of images, tables of paths (.csv .tsv .txt .jsonl), or - for standard "
          "input")
      ->required();
  verb->add_option("--top", f->top,
                   "How many labels per image, of a model that gives one of several")
      ->transform(whole_number(1, 1000000))
      ->type_name("K");
  verb->add_option("--precision", f->precision, kPrecisionHelp)
      ->check(CLI::IsMember({"fp32", "bf16", "fp16", "int8"}))
      ->type_name("P");
  add_source_flags(*verb, f->source, ClassNames::asked_for);
  add_device_flags(*verb, f->device);
  verb->add_option("--image-column", f->columns.image,
                   "Of a table: the column that names images (default: found)")
      ->type_name("COLUMN");
  verb->add_option("--root", f->columns.root,
                   "Of a table: the folder that its paths start from (default: its own)")
      ->type_name("FOLDER");
  add_resize_flag(*verb, f->resize);
  add_pixel_flag(*verb);
  verb->add_option("--predictions", f->predictions,
                   "Besides, a table of every image: path, what is predicted, and of labels the "
                   "probability of each (.csv or .jsonl)")
      ->type_name("FILE");
  verb->add_option("--out", f->out,
                   "Of a model that segments: a folder for pictures of each image's own size: "
                   "NAME_classes.png (the number of each pixel's class, with a palette), "
                   "NAME_probability.png and NAME_overlay.png")
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
