#include "graft/api/listening.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "graft/core/base/error.h"
#include "graft/io/sounds/wav_writer.h"
#include "graft/train/inputs/audio/audio_input.h"
#include "graft/train/tasks/table.h"

namespace graft {
namespace {

constexpr int64_t kMostWindows = 1000000;
constexpr int64_t kWindowsAtOnce = 16;

// Where the windows of a recording lie, in its own samples.
struct WindowPlan {
  int64_t samples = 0, rate = 1;  // of the recording
  int64_t window = 0;             // samples of one
  double step = 0;                // samples, not rounded
  int64_t count = 0;

  int64_t begin(int64_t i) const { return std::llround(static_cast<double>(i) * step); }
  double seconds(double at) const { return at / static_cast<double>(rate); }
  // What window i stands for.
  double from(int64_t i) const {
    if (i == 0) return 0;
    return seconds((static_cast<double>(i) - 0.5) * step + static_cast<double>(window) / 2);
  }
  double to(int64_t i) const {
    return i + 1 == count ? seconds(static_cast<double>(samples)) : from(i + 1);
  }
};

WindowPlan plan_windows(const io::Sound& sound, const io::SoundSteps& steps, double every) {
  WindowPlan plan{.samples = std::ssize(sound.samples), .rate = sound.rate};
  plan.window = static_cast<int64_t>(
      std::ceil(static_cast<double>(steps.samples()) * static_cast<double>(sound.rate) /
                static_cast<double>(steps.rate)));
  plan.step =
      every > 0 ? every * static_cast<double>(sound.rate) : static_cast<double>(plan.window) / 2;
  GRAFT_CHECK(plan.step >= 1, "listen: windows every ", every, " s are less than a sample apart");
  const double behind_first = static_cast<double>(plan.samples - plan.window);
  const double more = std::max(0.0, std::ceil(behind_first / plan.step));
  GRAFT_CHECK(more < static_cast<double>(kMostWindows), "listen: a recording of ",
              plan.seconds(static_cast<double>(plan.samples)), " s has more than ", kMostWindows,
              " windows every ", plan.seconds(plan.step), " s");
  plan.count = 1 + static_cast<int64_t>(more);
  // None that would begin behind the recording.
  while (plan.count > 1 && plan.begin(plan.count - 1) >= plan.samples) --plan.count;
  return plan;
}

// f(window, answer) for each.
template <class F>
void for_each_window(const Predictor& predictor, const io::Sound& sound, const WindowPlan& plan,
                     const ListenOptions& options, F&& f) {
  for (int64_t first = 0; first < plan.count; first += kWindowsAtOnce) {
    const int64_t last = std::min(plan.count, first + kWindowsAtOnce);
    std::vector<std::vector<std::byte>> files;
    std::vector<ImageSource> sources;
    for (int64_t i = first; i < last; ++i) {
      const int64_t begin = plan.begin(i), end = std::min(plan.samples, begin + plan.window);
      files.push_back(
          io::encode_wav(std::span(sound.samples)
                             .subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                         sound.rate));
      sources.emplace_back(NamedBytes(files.back(), "a window of the recording"));
    }
    const std::vector<Answer> answers = predictor.predict(sources);
    for (int64_t i = first; i < last; ++i) {
      const Answer& answer = answers[static_cast<size_t>(i - first)];
      GRAFT_CHECK(answer.error().empty(), answer.error());
      f(i, answer);
    }
    if (options.on_progress) options.on_progress(last, plan.count);
  }
}

// Successive windows in which one label is heard.
class EventRun {
 public:
  EventRun(const WindowPlan& plan, std::vector<SoundEvent>& events)
      : plan_(plan), events_(events) {}

  void add(int64_t window, int64_t index, const std::string& what, double probability) {
    if (last_ == window - 1 && open_.index == index && last_ >= 0) {
      open_.probability = std::max(open_.probability, probability);
    } else {
      close();
      open_ = {plan_.from(window), 0, what, index, probability};
    }
    open_.end = plan_.to(window);
    last_ = window;
  }
  void close() {
    if (last_ >= 0) events_.push_back(open_);
    last_ = -1;
  }

 private:
  const WindowPlan& plan_;
  std::vector<SoundEvent>& events_;
  SoundEvent open_{};
  int64_t last_ = -1;
};

// One label at a time.
void hear_one(const std::vector<std::vector<float>>& rows, const std::vector<std::string>& names,
              double least, const WindowPlan& plan, std::vector<SoundEvent>& events) {
  EventRun run(plan, events);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto best = std::max_element(rows[i].begin(), rows[i].end());
    if (!(*best >= least)) continue;
    const auto index = best - rows[i].begin();
    run.add(static_cast<int64_t>(i), index, names.at(static_cast<size_t>(index)), *best);
  }
  run.close();
}

// Labels side by side, each from its own threshold on.
void hear_several(const std::vector<std::vector<float>>& rows,
                  const std::vector<std::string>& names, const std::vector<double>& least,
                  const WindowPlan& plan, std::vector<SoundEvent>& events) {
  for (size_t label = 0; label < names.size(); ++label) {
    EventRun run(plan, events);
    for (size_t i = 0; i < rows.size(); ++i)
      if (rows[i].at(label) >= least.at(label))
        run.add(static_cast<int64_t>(i), static_cast<int64_t>(label), names[label], rows[i][label]);
    run.close();
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const SoundEvent& a, const SoundEvent& b) { return a.begin < b.begin; });
}

void hear_texts(const Predictor& predictor, const io::Sound& sound, const WindowPlan& plan,
                const ListenOptions& options, std::vector<SoundEvent>& events) {
  for_each_window(predictor, sound, plan, options, [&](int64_t i, const Answer& answer) {
    if (!answer.is_finite()) return;
    for (const train::NamedValue& said : answer.said())
      if (!said.name.empty() && said.value >= options.least)
        events.push_back(
            {plan.seconds(static_cast<double>(plan.begin(i))),
             plan.seconds(static_cast<double>(std::min(plan.samples, plan.begin(i) + plan.window))),
             said.name, 0, static_cast<double>(said.value)});
  });
}

}  // namespace

std::vector<std::vector<float>> smoothed_rows(const std::vector<std::vector<float>>& rows,
                                              int64_t size) {
  GRAFT_CHECK(size >= 1 && size % 2 == 1, "smoothing over ", size,
              " windows: an odd number is needed");
  const int64_t half = size / 2;
  std::vector<std::vector<float>> means;
  for (int64_t i = 0; i < std::ssize(rows); ++i) {
    const int64_t first = std::max<int64_t>(0, i - half),
                  last = std::min<int64_t>(std::ssize(rows), i + half + 1);
    std::vector<double> sums(rows[static_cast<size_t>(i)].size());
    for (int64_t k = first; k < last; ++k)
      for (size_t c = 0; c < sums.size(); ++c) sums[c] += rows[static_cast<size_t>(k)].at(c);
    std::vector<float> mean;
    for (const double sum : sums)
      mean.push_back(static_cast<float>(sum / static_cast<double>(last - first)));
    means.push_back(std::move(mean));
  }
  return means;
}

Heard listen(const Predictor& predictor, const io::Sound& sound, const ListenOptions& options) {
  GRAFT_CHECK(predictor.preprocess().input == train::AudioInput().name(),
              "listen: is for models of sounds; this one's input is ",
              predictor.preprocess().input.empty() ? "images" : predictor.preprocess().input);
  const io::AnswerKind answers = train::answers_for(predictor.task());
  const bool is_text = answers == io::AnswerKind::text,
             has_several = answers == io::AnswerKind::several_labels;
  GRAFT_CHECK(is_text || has_several || answers == io::AnswerKind::one_label,
              "listen: is for tasks classify, multilabel and transcribe; this model's is ",
              predictor.task());
  GRAFT_CHECK(options.every >= 0 && options.least >= 0 && options.least <= 1,
              "listen: windows every ", options.every, " s, from a probability of ", options.least,
              " on");
  GRAFT_CHECK(options.smooth >= 1 && options.smooth % 2 == 1, "listen: smoothing over ",
              options.smooth, " windows: an odd number is needed");
  GRAFT_CHECK(!is_text || options.smooth == 1,
              "listen: texts have no mean; smoothing is for labels");
  GRAFT_CHECK(!sound.samples.empty() && sound.rate > 0, "listen: the recording has no samples");
  const io::SoundSteps steps = train::sound_steps_of(predictor.preprocess());
  const double own_window = static_cast<double>(steps.samples()) / static_cast<double>(steps.rate);
  const WindowPlan plan =
      plan_windows(sound, steps, options.every == 0 && is_text ? own_window : options.every);
  Heard heard{.seconds = plan.seconds(static_cast<double>(plan.samples)),
              .window = own_window,
              .every = plan.seconds(plan.step),
              .windows = plan.count};
  if (is_text) {
    hear_texts(predictor, sound, plan, options, heard.events);
    return heard;
  }
  const std::vector<std::string> names = predictor.presentation().output_names();
  std::vector<std::vector<float>> rows;
  for_each_window(predictor, sound, plan, options, [&](int64_t, const Answer& answer) {
    const Tensor& values = answer.values();
    rows.emplace_back(values.data<float>(), values.data<float>() + values.numel());
    if (!answer.is_finite()) std::fill(rows.back().begin(), rows.back().end(), 0.0F);
  });
  rows = smoothed_rows(rows, options.smooth);
  if (!has_several) {
    hear_one(rows, names, options.least, plan, heard.events);
    return heard;
  }
  std::vector<double> least(names.size(), options.least);
  if (options.least == 0) least = predictor.presentation().thresholds();
  if (least.size() != names.size()) least.assign(names.size(), 0.5);
  hear_several(rows, names, least, plan, heard.events);
  return heard;
}

}  // namespace graft
