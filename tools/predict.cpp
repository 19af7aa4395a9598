// graft predict: images in, labels out, with the preprocessing stored in the model.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/elementwise.h"
#include "graft/layers/functional/functional.h"
#include "graft/tools/device.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/verbs.h"
#include "graft/train/features.h"

namespace graft::tools {
namespace {

struct PredictFlags {
  std::string model;
  std::vector<std::string> images;
  std::string precision = "fp32";
  DeviceFlags device;
  SourceFlags source;
  int64_t top = 1;
  bool json = false;
};

bool looks_like_image(const std::string& name) {
  const size_t dot = name.rfind('.');
  std::string end = dot == std::string::npos ? "" : name.substr(dot + 1);
  std::transform(end.begin(), end.end(), end.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  for (const char* known :
       {"jpg", "jpeg", "png", "bmp", "gif", "tga", "ppm", "pgm", "psd", "hdr", "pic"})
    if (end == known) return true;
  return false;
}

void collect(const std::string& path, std::vector<std::string>& out) {
  if (path == "-" || !file_system().is_directory(path)) {
    out.push_back(path);
    return;
  }
  auto entries = file_system().list(path);
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const DirectoryEntry& entry : entries) {
    const std::string below = join_path(path, entry.name);
    if (entry.is_directory)
      collect(below, out);
    else if (entry.is_regular && looks_like_image(entry.name))
      out.push_back(below);
  }
}

io::Image read_one(const std::string& path) {
  if (path != "-") return io::read_image(path);
  constexpr size_t most = size_t{1} << 28;
  std::vector<std::byte> bytes;
  std::byte buffer[65536];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;) {
    bytes.insert(bytes.end(), buffer, buffer + n);
    GRAFT_CHECK(bytes.size() <= most, "standard input: more than ", most, " bytes");
  }
  return io::decode_image(bytes, "standard input");
}

struct Answer {
  int64_t label;
  double probability;
};

std::vector<Answer> best(const float* probabilities, int64_t classes, int64_t top) {
  std::vector<int64_t> order(static_cast<size_t>(classes));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return probabilities[a] > probabilities[b]; });
  std::vector<Answer> answers;
  for (int64_t i = 0; i < std::min(top, classes); ++i)
    answers.push_back(
        {order[static_cast<size_t>(i)], probabilities[order[static_cast<size_t>(i)]]});
  return answers;
}

class Predictor {
 public:
  Predictor(models::Model model, const PredictFlags& flags)
      : model_(std::move(model)),
        flags_(flags),
        run_(*model_.network, model_.network->stages().size(), precision_named(flags.precision),
             calibration_for(flags.precision, model_.card, flags.model)) {
    model_.network->to(open_named_device(flags.device, flags.precision));
  }

  // One batch of readable images.
  void answer(const std::vector<std::string>& names, const std::vector<io::Image>& images) {
    const io::Preprocess& p = model_.card.preprocess;
    const auto count = std::ssize(images);
    Tensor x =
        Tensor::empty({count, p.channels, p.size, p.size}, {.format = MemoryFormat::channels_last});
    float* data = x.mutable_data<float>();
    current_context().parallel_for(count, [&](int64_t i) {
      p.normalise_into(p.geometry(images[static_cast<size_t>(i)]),
                       data + i * p.channels * p.size * p.size);
    });
    const NoGradGuard no_grad;
    const Tensor values = to_device(run_(x), {});
    const Tensor probabilities = model_.card.activation == models::Activation::sigmoid
                                     ? functional::unary(values, ops::Unary::sigmoid)
                                     : functional::softmax(values);
    if (!said_) say_refusal(run_, flags_.precision);
    said_ = true;
    const int64_t classes = probabilities.size(1);
    for (int64_t i = 0; i < count; ++i)
      show(names[static_cast<size_t>(i)],
           best(probabilities.data<float>() + i * classes, classes, flags_.top));
  }

  void refuse(const std::string& name, const std::string& reason) {
    if (flags_.json) document_.push_back({{"path", name}, {"error", reason}});
    say("graft: ", printable(reason));
  }

  void finish() const {
    if (flags_.json) result(document_);
  }

 private:
  std::string label(int64_t index) const {
    return model_.card.labels.empty() ? str("class ", index)
                                      : model_.card.labels.at(static_cast<size_t>(index));
  }

  void show(const std::string& name, const std::vector<Answer>& answers) {
    if (flags_.json) {
      nlohmann::ordered_json top = nlohmann::ordered_json::array();
      for (const Answer& a : answers)
        top.push_back(
            {{"label", label(a.label)}, {"index", a.label}, {"probability", a.probability}});
      document_.push_back({{"path", name}, {"top", top}});
      return;
    }
    std::string line = name;
    for (const Answer& a : answers) line += str("\t", label(a.label), " ", fixed(a.probability, 4));
    result(line + "\n");
  }

  models::Model model_;
  const PredictFlags& flags_;
  train::PrefixRunner run_;
  bool said_ = false;
  nlohmann::ordered_json document_ = nlohmann::ordered_json::array();
};

int predict(const PredictFlags& flags) {
  models::Model model = std::move(load_any(flags.model, flags.source).model);
  GRAFT_CHECK(models::classes_of(model.card.architecture) > 0, flags.model,
              ": has no classifier; graft finetune gives it one");
  std::vector<std::string> paths;
  for (const std::string& image : flags.images) collect(image, paths);
  GRAFT_CHECK(!paths.empty(), join(flags.images), ": there are no images");
  Predictor predictor(std::move(model), flags);
  constexpr size_t kBatch = 16;
  int64_t broken = 0;
  for (size_t begin = 0; begin < paths.size(); begin += kBatch) {
    std::vector<std::string> names;
    std::vector<io::Image> images;
    for (size_t i = begin; i < std::min(paths.size(), begin + kBatch); ++i) {
      try {
        images.push_back(read_one(paths[i]));
        names.push_back(paths[i]);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::bad_input) throw;
        ++broken;
        predictor.refuse(paths[i], error.what());
      }
    }
    if (!images.empty()) predictor.answer(names, images);
  }
  predictor.finish();
  return broken > 0 ? static_cast<int>(ErrorCode::bad_input) : 0;
}

}  // namespace

void add_predict(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("predict",
                                  "Labels for images, with the preprocessing stored in the model");
  auto f = std::make_shared<PredictFlags>();
  verb->add_option("MODEL", f->model, "A model of graft, or any weight file with a classifier")
      ->required();
  verb->add_option("IMAGE", f->images, "Images, folders of images, or - for standard input")
      ->required();
  verb->add_option("--top", f->top, "How many labels per image")
      ->check(CLI::Range(1, 1000000))
      ->type_name("K");
  verb->add_option("--precision", f->precision, kPrecisionHelp)
      ->check(CLI::IsMember({"fp32", "bf16", "fp16", "int8"}))
      ->type_name("P");
  add_source_flags(*verb, f->source, ClassNames::asked_for);
  add_device_flags(*verb, f->device);
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->footer(
      "Example:\n  graft predict run/model.safetensors photo.jpg --top 3\n"
      "An image that cannot be read is named on stderr; the others are answered, and the exit code "
      "is 3.");
  verb->callback([&action, f] { action = [f] { return predict(*f); }; });
}

}  // namespace graft::tools
