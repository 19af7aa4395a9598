#include "graft/tools/pictures.h"

#include <algorithm>
#include <map>
#include <set>

#include "graft/api/explain.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/io/images/jpeg_writer.h"
#include "graft/tools/output.h"
#include "graft/train/grad_cam.h"
#include "graft/train/inputs/table.h"

namespace graft::tools {

using train::escape;

namespace {

constexpr int64_t kInputs = 8, kOfAKind = 12, kLongestSide = 160;

std::string base64(std::span<const std::byte> bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? std::to_integer<uint32_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k)
      text += i + k <= bytes.size() ? digits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

// Small enough for a page.
io::Image shrunk(const io::Image& image) {
  const int64_t longest = std::max(image.width, image.height);
  if (longest <= kLongestSide) return image;
  return io::resize(image, std::max<int64_t>(1, image.width * kLongestSide / longest),
                    std::max<int64_t>(1, image.height * kLongestSide / longest));
}

// What the network is given, but for the normalisation.
io::Image given_to_network(const io::Dataset& dataset, int64_t sample,
                           const io::Preprocess& preprocess) {
  return train::input_of(preprocess)->picture(dataset, sample, preprocess);
}

std::string picture_tag(const io::Image& image, const std::string& name) {
  return str("<img alt=\"", escape(name), "\" src=\"data:image/jpeg;base64,",
             base64(io::encode_jpeg(shrunk(image))), "\">");
}

// "red", "red, blue", "3.5".
std::string words_of(const train::AnswerCell& cell) {
  struct Words {
    std::string operator()(float number) const { return train::shortest(number); }
    std::string operator()(double number) const { return train::shortest(number); }
    std::string operator()(const std::string& name) const { return name; }
    std::string operator()(const std::vector<std::string>& names) const {
      return names.empty() ? "none" : join(names);
    }
  };
  return std::visit(Words{}, cell);
}

std::string truth_of(const train::Presentation& shown, const io::Dataset& dataset, int64_t sample) {
  std::vector<std::string> cells;
  for (const train::AnswerCell& cell : shown.true_cells(dataset, sample))
    cells.push_back(words_of(cell));
  return join(cells);
}

// why: the picture beside it, "" for none.
std::string figure(const io::Dataset& dataset, int64_t sample, const io::Preprocess& preprocess,
                   const std::vector<std::string>& lines, const std::string& why = "") {
  std::string caption, picture;
  for (const std::string& line : lines)
    if (!line.empty()) caption += (caption.empty() ? "" : "<br>") + line;
  const std::string name = file_name(dataset.name(sample));
  try {
    picture = picture_tag(given_to_network(dataset, sample, preprocess), name);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    picture = "<p>cannot be read any more</p>";
  }
  return str("<figure title=\"", escape(dataset.name(sample)), "\">", picture, why, "<figcaption>",
             caption, "<br><small>", escape(name), "</small></figcaption></figure>\n");
}

std::string section(const std::string& title, const std::string& why, const std::string& figures) {
  return str("\n<h2>", escape(title), "</h2>\n<p>", escape(why), "</p>\n<div class=\"p\">\n",
             figures, "</div>");
}

std::string inputs_html(const Pictured& pictured, const train::Presentation& shown) {
  const io::Dataset& inputs = *pictured.inputs;
  const int64_t count = std::min(kInputs, inputs.size());
  std::string figures;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t sample = i * inputs.size() / count;
    figures +=
        figure(inputs, sample, pictured.preprocess, {escape(truth_of(shown, inputs, sample))});
  }
  return section(
      "What the network sees",
      pictured.preprocess.input.empty()
          ? str("Training images as they enter the network (", pictured.preprocess.sides(), ", ",
                pictured.preprocess.fit(), "), before augmentation.")
          : str("Training samples as they enter the network (", pictured.preprocess.sides(),
                "), before augmentation."),
      figures);
}

// What the network answers to a sample.
struct Said {
  std::string line{};
  int64_t largest = -1;  // the output that says most; -1: answers are no numbers for an image
};

std::map<int64_t, Said> answers_to(const std::set<int64_t>& samples,
                                   const train::Presentation& shown, const AskNetwork& ask) {
  std::map<int64_t, Said> answers;
  if (samples.empty()) return answers;
  const Tensor read = shown.readable(ask({samples.begin(), samples.end()}));
  const auto width = static_cast<size_t>(read.numel()) / samples.size();
  const float* row = read.data<float>();
  for (const int64_t sample : samples) {
    Said& said = answers[sample];
    said.line = shown.answer_text(std::span(row, width), 1);
    std::replace(said.line.begin(), said.line.end(), '\t', ' ');
    if (read.rank() == 2) said.largest = std::max_element(row, row + width) - row;
    row += width;
  }
  return answers;
}

// The picture beside a sample's, "" where there is none; why not goes to `refusal`.
std::string why_tag(const AskWhy& why, int64_t sample, const Said& said, std::string& refusal) {
  if (!why || said.largest < 0 || !refusal.empty()) return "";
  try {
    return picture_tag(why(sample, said.largest), "what spoke for it");
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    refusal = error.what();
  }
  return "";
}

}  // namespace

Tensor outputs_for(train::PrefixRunner& run, const std::shared_ptr<const io::Dataset>& part,
                   const io::Preprocess& preprocess, const std::shared_ptr<const train::Task>& task,
                   const std::vector<int64_t>& samples) {
  std::vector<float> answers;
  Shape shape;
  const train::AnswersHeard hear = [&](const Tensor& outputs, std::span<const int64_t>) {
    const Tensor here = to_device(outputs, {}).to(MemoryFormat::contiguous);
    shape = here.shape();
    answers.insert(answers.end(), here.data<float>(), here.data<float>() + here.numel());
  };
  train::judge(run, io::subset(part, samples), preprocess, task, 16, {}, hear);
  return Tensor::of<float>(shape.with(0, std::ssize(samples)), answers);
}

std::string pictures_html(const Pictured& pictured, const train::Presentation& shown,
                          const train::Metric& metric, const AskNetwork& ask) {
  std::string html;
  if (pictured.inputs && pictured.inputs->size() > 0) html += inputs_html(pictured, shown);
  const io::Dataset& judged = *pictured.judged;
  const std::vector<train::Noteworthy> kinds = shown.noteworthy(metric, kOfAKind);
  std::set<int64_t> samples;
  for (const train::Noteworthy& kind : kinds)
    samples.insert(kind.samples.begin(), kind.samples.end());
  const std::map<int64_t, Said> answers = answers_to(samples, shown, ask);
  for (const train::Noteworthy& kind : kinds) {
    std::string figures, words = kind.why, refusal;
    bool has_why = false;
    for (const int64_t sample : kind.samples) {
      const Said& said = answers.at(sample);
      const std::string why =
          &kind == &kinds.front() ? why_tag(pictured.why, sample, said, refusal) : std::string();
      has_why = has_why || !why.empty();
      figures += figure(
          judged, sample, pictured.preprocess,
          {"true: " + escape(truth_of(shown, judged, sample)), "said: " + escape(said.line)}, why);
    }
    if (has_why) words += " In color: what spoke for what was said (Grad-CAM), red the most.";
    if (!refusal.empty()) words += " What spoke for it cannot be shown: " + refusal + ".";
    html += section(kind.title, words, figures);
  }
  return html;
}

AskWhy why_by(StagedNetwork& network, std::shared_ptr<const io::Dataset> part,
              const io::Preprocess& preprocess) {
  return [&network, part = std::move(part), preprocess](int64_t sample, int64_t output) {
    const io::Image seen = given_to_network(*part, sample, preprocess);
    Tensor x = Tensor::empty({1, preprocess.channels, preprocess.size, preprocess.input_width()},
                             {.format = MemoryFormat::channels_last});
    train::input_of(preprocess)
        ->maker(preprocess, {})
        ->input(*part, sample, nullptr, x.mutable_data<float>());
    const Tensor maps = train::grad_cam(network, x, {&output, 1});
    return overlaid(seen, maps.reshape({maps.size(1), maps.size(2)}),
                    {{seen.width, 0, 1}, {seen.height, 0, 1}, false}, preprocess.size,
                    preprocess.input_width());
  };
}

}  // namespace graft::tools
