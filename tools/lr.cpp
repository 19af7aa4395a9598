// graft lr: the learning-rate range test: what the loss does while the rate rises, and the rate
// that this suggests.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/tools/device.h"
#include "graft/tools/finetune.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/interrupt.h"
#include "graft/tools/output.h"
#include "graft/tools/progress.h"
#include "graft/tools/verbs.h"
#include "graft/train/rate_range.h"

namespace graft::tools {
namespace {

using train::escape;

struct RateFlags {
  FinetuneFlags of;
  train::RateRangeOptions range{};
  std::string html{};
  bool json = false;
};

std::string power_of_ten(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

// Losses over the logarithm of the rate: each as a dot, smoothed as a line, the suggestion upright.
std::string rate_picture(const train::RateRange& range) {
  constexpr double width = 640, height = 320, left = 56, right = 16, top = 16, bottom = 36;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const train::RateStep& step : range.steps) {
    if (!std::isfinite(step.smoothed)) continue;
    low = std::min(low, step.smoothed);
    high = std::max(high, step.smoothed);
  }
  if (!(high > low)) low -= 1, high = low + 2;
  const double first = std::log(range.steps.front().lr),
               last = std::max(std::log(range.steps.back().lr), first + 1e-9);
  const auto x_of = [&](double lr) {
    return fixed(left + (width - left - right) * (std::log(lr) - first) / (last - first), 1);
  };
  const auto y_of = [&](double loss) {
    const double share = (std::clamp(loss, low, high) - low) / (high - low);
    return fixed(top + (height - top - bottom) * (1 - share), 1);
  };
  std::string svg =
      "<svg viewBox=\"0 0 640 320\" role=\"img\"><title>loss by learning rate</title>";
  for (int tick = 0; tick <= 4; ++tick) {
    const double loss = low + (high - low) * tick / 4;
    svg += str("<line stroke=\"#ddd\" x1=\"56\" x2=\"624\" y1=\"", y_of(loss), "\" y2=\"",
               y_of(loss), "\"/><text text-anchor=\"end\" x=\"50\" y=\"", y_of(loss),
               "\" dy=\"4\">", power_of_ten(loss), "</text>");
  }
  for (double lr = std::pow(10, std::ceil(first / std::log(10) - 1e-9));
       std::log(lr) <= last + 1e-9; lr *= 10)
    svg += str("<text text-anchor=\"middle\" x=\"", x_of(lr), "\" y=\"304\">", power_of_ten(lr),
               "</text>");
  std::string line;
  for (const train::RateStep& step : range.steps) {
    if (!std::isfinite(step.smoothed)) continue;
    svg += str("<circle r=\"2\" fill=\"#bbb\" cx=\"", x_of(step.lr), "\" cy=\"", y_of(step.loss),
               "\"/>");
    line += str(x_of(step.lr), ",", y_of(step.smoothed), " ");
  }
  svg +=
      str("<polyline fill=\"none\" stroke=\"#1e6fb4\" stroke-width=\"2\" points=\"", line, "\"/>");
  if (range.suggested >= range.steps.front().lr)
    svg += str("<line stroke=\"#b4481e\" stroke-dasharray=\"4\" x1=\"", x_of(range.suggested),
               "\" x2=\"", x_of(range.suggested), "\" y1=\"16\" y2=\"284\"/>");
  return svg + "</svg>";
}

std::string rate_page(const train::RateRange& range, const std::string& said) {
  return str(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Learning-rate range "
      "test</title><style>body{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2em "
      "auto;color:#222}text{font-size:12px;fill:#666}</style></head><body>\n<h1>Learning-rate "
      "range "
      "test</h1>\n<p>",
      escape(said), "</p>\n", rate_picture(range),
      "\n<p>Dots: the loss of each step's batch; line: smoothed; broken line: the suggested rate."
      "</p>\n</body></html>\n");
}

nlohmann::ordered_json number_or_null(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json document_of(const train::RateRange& range, const train::Recipe& recipe) {
  nlohmann::ordered_json document = nlohmann::ordered_json::object();
  document["suggested"] =
      range.suggested > 0 ? number_or_null(range.suggested) : nlohmann::ordered_json(nullptr);
  document["reason"] = range.reason;
  document["diverged"] = range.diverged;
  document["optimizer"] = recipe.optimizer.name;
  nlohmann::ordered_json& steps = document["steps"] = nlohmann::ordered_json::array();
  for (const train::RateStep& step : range.steps)
    steps.push_back({{"lr", step.lr},
                     {"loss", number_or_null(step.loss)},
                     {"smoothed", number_or_null(step.smoothed)}});
  return document;
}

// Every tenth or so, for people.
std::string table_of_steps(const train::RateRange& range) {
  std::vector<std::vector<std::string>> rows{{"rate", "loss", "smoothed"}};
  const size_t stride = std::max<size_t>(range.steps.size() / 12, 1);
  for (size_t i = 0; i < range.steps.size(); i += stride) {
    const train::RateStep& step = range.steps[i];
    rows.push_back({power_of_ten(step.lr), fixed(step.loss, 4), fixed(step.smoothed, 4)});
  }
  return table_of(rows);
}

int test_rates(const RateFlags& flags) {
  const TrainingFlags& training = flags.of.training;
  if (!flags.html.empty()) check_writable(flags.html);
  const InterruptGuard interrupt;
  ExecContext context(training.threads);
  const ScopedExecContext scope(context);
  GRAFT_CHECK(file_system().exists(training.data), training.data,
              ": there is no such file or folder");
  train::Recipe recipe = recipe_of(flags.of);
  const Device device = open_named_device(training.device, training.precision, "");
  TrainingData opened = open_training_data(training);
  const std::shared_ptr<train::Task> task = open_task(opened.opened, training, recipe);
  Network made = make_finetuned(flags.of, opened, *task);
  made.model.network->to(device);
  ProgressBar bar;
  train::FitOptions options;
  options.task = task;
  options.neutral_norms = made.model.card.neutral_norms;
  options.head_is_trained = made.head_is_trained;
  options.workers = training.workers;
  options.cache_ram = training.cache_ram;
  options.stop = &interrupt.flag();
  options.on_progress = [&bar](const train::Progress& p) {
    const std::string phase = p.phase;
    bar.update(phase == "train"      ? "rates"
               : phase == "features" ? "frozen features"
                                     : phase,
               p.done, p.total);
  };
  options.on_note = [&bar](const std::string& note) {
    bar.clear();
    say("note: ", note);
  };
  const train::RateRange range = train::rate_range(
      *made.model.network, opened.opened, made.model.card.preprocess, recipe, options, flags.range);
  bar.clear();
  if (range.interrupted) {
    say("interrupted: nothing was written");
    return exit_interrupted;
  }
  const std::string said = range.suggested > 0
                               ? str("suggested: --lr ", power_of_ten(range.suggested), " for ",
                                     recipe.optimizer.name, ", ", range.reason)
                               : range.reason;
  if (!flags.html.empty()) write_file_atomically(flags.html, rate_page(range, said));
  if (flags.json)
    result(document_of(range, recipe));
  else
    result(table_of_steps(range) + said + "\n");
  return 0;
}

// What a range test does not take: it makes no run, and its rates are its own.
void leave_out(CLI::App& verb) {
  for (const char* flag :
       {"--out", "--folds", "--epochs", "--lr", "--schedule", "--warmup", "--patience", "--ema",
        "--tensorboard", "--ram", "--describe", "--int8", "--resume", "--overwrite",
        "--checkpoint-seconds", "--least-precision", "--least-recall"})
    verb.remove_option(verb.get_option(flag));
}

}  // namespace

void add_lr(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "lr", "Learning-rate range test: the loss while the rate rises, and a rate to begin with");
  auto f = std::make_shared<RateFlags>();
  add_finetune_flags(*verb, f->of);
  add_training_flags(*verb, f->of.training);
  leave_out(*verb);
  verb->add_option("--from", f->range.from, "The first step's rate")
      ->transform(real_number_above(0, 1e6))
      ->type_name("F");
  verb->add_option("--to", f->range.to, "The last step's rate")
      ->transform(real_number_above(0, 1e6))
      ->type_name("F");
  verb->add_option("--steps", f->range.steps, "Steps, from each to the next by one factor")
      ->transform(whole_number(10, 100000))
      ->type_name("N");
  verb->add_option("--html", f->html, "A page with the curve")->type_name("FILE");
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->footer(
      "Example:\n  graft lr --weights resnet18.safetensors --data photos --freeze none\n"
      "The other flags are finetune's: the same network, data and recipe, on a copy that is thrown "
      "away.");
  verb->callback([&action, f] { action = [f] { return test_rates(*f); }; });
}

}  // namespace graft::tools
