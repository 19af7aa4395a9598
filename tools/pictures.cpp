#include "graft/tools/pictures.h"

#include <algorithm>
#include <map>
#include <set>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/io/images/jpeg_writer.h"
#include "graft/tools/output.h"
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

// What the network is given, but for the normalisation, small enough for a page.
io::Image seen_by_network(const io::Dataset& dataset, int64_t sample,
                          const io::Preprocess& preprocess) {
  const io::Image image = train::input_of(preprocess)->picture(dataset, sample, preprocess);
  const int64_t longest = std::max(image.width, image.height);
  if (longest <= kLongestSide) return image;
  return io::resize(image, std::max<int64_t>(1, image.width * kLongestSide / longest),
                    std::max<int64_t>(1, image.height * kLongestSide / longest));
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

std::string figure(const io::Dataset& dataset, int64_t sample, const io::Preprocess& preprocess,
                   const std::vector<std::string>& lines) {
  std::string caption, picture;
  for (const std::string& line : lines)
    if (!line.empty()) caption += (caption.empty() ? "" : "<br>") + line;
  const std::string name = file_name(dataset.name(sample));
  try {
    const io::Image image = seen_by_network(dataset, sample, preprocess);
    picture = str("<img alt=\"", escape(name), "\" src=\"data:image/jpeg;base64,",
                  base64(io::encode_jpeg(image)), "\">");
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    picture = "<p>cannot be read any more</p>";
  }
  return str("<figure title=\"", escape(dataset.name(sample)), "\">", picture, "<figcaption>",
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

// What the network answers, a line each, for these samples.
std::map<int64_t, std::string> answer_lines(const std::set<int64_t>& samples,
                                            const train::Presentation& shown,
                                            const AskNetwork& ask) {
  std::map<int64_t, std::string> lines;
  if (samples.empty()) return lines;
  const Tensor answers = shown.readable(ask({samples.begin(), samples.end()}));
  const auto width = static_cast<size_t>(answers.numel()) / samples.size();
  const float* row = answers.data<float>();
  for (const int64_t sample : samples) {
    std::string line = shown.answer_text(std::span(row, width), 1);
    std::replace(line.begin(), line.end(), '\t', ' ');
    lines[sample] = line;
    row += width;
  }
  return lines;
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
  const std::map<int64_t, std::string> answers = answer_lines(samples, shown, ask);
  for (const train::Noteworthy& kind : kinds) {
    std::string figures;
    for (const int64_t sample : kind.samples)
      figures += figure(judged, sample, pictured.preprocess,
                        {"true: " + escape(truth_of(shown, judged, sample)),
                         "said: " + escape(answers.at(sample))});
    html += section(kind.title, kind.why, figures);
  }
  return html;
}

}  // namespace graft::tools
