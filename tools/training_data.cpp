#include "graft/tools/training_data.h"

#include "graft/io/datasets/census.h"
#include "graft/io/datasets/changed_files.h"
#include "graft/tools/output.h"
#include "graft/tools/progress.h"
#include "graft/train/memory_plan.h"

namespace graft::tools {
namespace {

constexpr size_t kBrokenShown = 10;

void look_at(std::shared_ptr<const io::Dataset>& part, std::vector<io::ImageFacts>& facts,
             const train::Input& input, double broken_share, io::DecodeGate* gate,
             const io::GreyWindow& window, std::vector<std::string>& notes, ProgressBar& bar) {
  if (!part) return;
  const io::FileKind files = input.files();
  facts = train::census_of(
      input, *part,
      {.gate = gate,
       .progress = [&](int64_t done,
                       int64_t total) { bar.update("looking at " + files.many, done, total); },
       .window = window});
  std::vector<std::string> left_out;
  part = io::keep_whole(part, facts, broken_share, left_out, files.many);
  const size_t count = left_out.size();
  if (count > kBrokenShown) {
    left_out.resize(kBrokenShown);
    left_out.push_back(str("left out: ", count - kBrokenShown, " broken ", files.many, " more"));
  }
  notes.insert(notes.end(), left_out.begin(), left_out.end());
}

}  // namespace

TrainingData open_summarized(const std::string& path, io::DataOptions options, double broken_share,
                             const train::ChosenInput& chosen, int64_t ram,
                             const io::GreyWindow& window) {
  if (!chosen.why.empty()) say("input: ", chosen.input->name(), ", ", printable(chosen.why));
  TrainingData data;
  data.input = chosen.input;
  options.files = chosen.input->files();
  data.opened = io::open_data(path, options);
  io::OpenedData& opened = data.opened;
  if (ram > 0)
    data.gate = train::plan_decoding(ram, opened.bytes_held, 0,
                                     {opened.train.get(), opened.val.get(), opened.test.get()})
                    .gate;
  ProgressBar bar;
  for (auto [part, facts] :
       {std::pair(&opened.train, &data.facts.train), std::pair(&opened.val, &data.facts.val),
        std::pair(&opened.test, &data.facts.test)})
    look_at(*part, *facts, *data.input, broken_share, data.gate.get(), window, opened.notes, bar);
  bar.clear();
  data.summary = io::summarize(path, opened, data.facts);
  if (!opened.files.is_images()) {
    data.summary.input = chosen.input->name();
    data.summary.why_input = chosen.why;
  }
  for (const std::string& line : data.summary.lines()) say(printable(line));
  return data;
}

std::string say_changed_files(const io::OpenedData& data) {
  const std::string sentence = io::changed_files(data);
  if (!sentence.empty()) say("note: ", sentence);
  return sentence;
}

void doubt_shapes(TrainingData& data, const io::Preprocess& preprocess) {
  if (!preprocess.input.empty()) return;
  const auto& facts = data.opened.train ? data.facts.train : data.facts.val;
  for (const std::string& doubt : io::shape_doubts(facts, preprocess)) {
    say("doubt: ", doubt);
    data.summary.doubts.push_back(doubt);
  }
}

}  // namespace graft::tools
