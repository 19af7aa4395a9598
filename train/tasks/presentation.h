// Presentation: how a task's results are shown in a run's last lines, in evaluate's answer and in a
// report.
#pragma once
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "graft/io/input_geometry.h"
#include "graft/train/tasks/task.h"

namespace graft::train {

// The columns of a table of answers, by name.
struct AnswerColumns {
  std::vector<std::string> answers{};        // a single one may have no name: ""
  std::vector<std::string> probabilities{};  // of a row's numbers, where these are probabilities
};
// A list of names is one cell.
using AnswerCell = std::variant<float, double, std::string, std::vector<std::string>>;
// A number of an answer, with the output that it is of.
struct NamedValue {
  std::string name{};
  int64_t index = 0;
  float value = 0;
};

// An answer to an image as an image.
struct Picture {
  std::string what{};  // for a file's name
  io::Image image{};
  std::vector<uint32_t> palette{};  // 0xRRGGBB of each of the image's levels; empty: it has none
};

// Samples of the part that was judged that are worth looking at, the most telling first.
struct Noteworthy {
  std::string title{}, why{};
  std::vector<int64_t> samples{};  // places in the part
};

// What some scores and their intervals depend on beside the answers.
struct ScoringOptions {
  std::vector<std::string> groups{};  // of each sample that was judged, in order; empty: not known
  double specificity = 0.9;           // at which a sensitivity is told
};

// A sample whose target may be wrong.
struct Suspect {
  int64_t sample = 0;             // its place in the part
  std::string truth{}, rather{};  // what it has, and what it rather is
  double margin = 0;              // how likely the first is, less the second; the lower, the surer
};

// Of metrics that the task made. What is said of any task is made of its scores.
class GRAFT_API Presentation {
 public:
  explicit Presentation(const Task& task) : task_(task) {}
  virtual ~Presentation() = default;

  // False, at first: no score of this task depends on them, and nothing happens.
  virtual bool score_with(ScoringOptions options);

  // "accuracy 0.9012 (macro-F1 0.8800, loss 0.3100)".
  virtual std::string headline(const Metric& metric) const;
  // Rows of a report's table; `epoch`: of the metric's network, 0 where it is of none.
  virtual std::vector<std::pair<std::string, std::string>> facts(const Metric& metric,
                                                                 int64_t epoch) const;
  // How sure the first score can be of so few samples; "": sure enough, or not known.
  virtual std::string doubt(const Metric& metric) const;
  // All that is known: for people, and as a JSON object.
  virtual std::string text(const Metric& metric) const;
  virtual std::string json(const Metric& metric) const;
  // What another arithmetic costs: `changed` beside `whole`; "" where nothing is to be added.
  virtual std::string comparison(const Metric& whole, const Metric& changed,
                                 const std::string& name) const;
  // Sections of a report; `changed`, when it is given, is the same in another arithmetic.
  virtual std::string html(const Metric& metric, const Metric* changed,
                           const std::string& name) const;
  // For a report's pictures, at most `most` samples under each title; none where the metric does
  // not know its samples. Those with the largest and the smallest losses, at first.
  virtual std::vector<Noteworthy> noteworthy(const Metric& metric, int64_t most) const;
  // ---- answers to samples
  // Outputs as people read them, f32 [N,...] on the host: probabilities, numbers in their own unit.
  // The outputs themselves, at first.
  virtual Tensor readable(const Tensor& outputs) const;
  // Whether answers are of places in the image. Then place() brings a row of readable(), of the
  // network's input, into the image's own pixels; who answers for an image does so before the row
  // is shown.
  virtual bool has_places() const { return false; }
  virtual void place(std::span<float> row, const io::InputGeometry& geometry) const;
  // A row of readable(): for a line of text (tabs between its parts), and as a JSON object. `most`:
  // of what is best first.
  virtual std::string answer_text(std::span<const float> row, int64_t most) const;
  virtual std::string answer_json(std::span<const float> row, int64_t most) const;
  // What is said of a sample, from a row of readable(): of classes the `most` likeliest, of several
  // labels those that it has, the likeliest first, of numbers all. Every output, at first.
  virtual std::vector<NamedValue> said(std::span<const float> row, int64_t most) const;
  // What the outputs are called, in their order; and from which value on each is said, empty where
  // that is not how it is decided.
  virtual std::vector<std::string> output_names() const;
  virtual std::vector<double> thresholds() const;
  // In a table of answers: its columns; a row's cells under AnswerColumns::answers; and what a
  // sample has there in truth, empty where that is not known.
  virtual AnswerColumns answer_columns() const;
  virtual std::vector<AnswerCell> answer_cells(std::span<const float> row) const;
  virtual std::vector<AnswerCell> true_cells(const io::Dataset& dataset, int64_t sample) const;
  // Whether there are pictures of an answer.
  virtual bool has_pictures() const { return false; }
  // A row of readable(), of maps of height x width, as pictures of the photo's own size; geometry:
  // of the photo in the maps. None, at first.
  struct Maps {
    std::span<const float> row;
    int64_t height, width;
    io::InputGeometry geometry;
  };
  virtual std::vector<Picture> pictures(const Maps& maps, const io::Image& photo) const;

  // All samples whose targets may be wrong, the surest first; none where that is not known.
  virtual std::vector<Suspect> suspects(const Metric& metric) const;

 protected:
  const Task& task_;
};

}  // namespace graft::train
