// graft listen: what a model of sounds hears in a long recording, and when.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "graft/api/listening.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/image_files.h"
#include "graft/io/images/image.h"
#include "graft/tools/device.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/progress.h"
#include "graft/tools/verbs.h"

namespace graft::tools {
namespace {

using Json = nlohmann::ordered_json;

struct ListenFlags {
  std::string model, sound, out, precision = "fp32";
  std::optional<double> every, least;
  std::optional<int64_t> smooth;
  DeviceFlags device;
  bool json = false;
};

// RFC 4180.
std::string quoted_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string events_csv(const Heard& heard) {
  std::string text = "begin,end,heard,probability\n";
  for (const SoundEvent& event : heard.events)
    text += str(fixed(event.begin, 3), ",", fixed(event.end, 3), ",", quoted_cell(event.what), ",",
                fixed(event.probability, 6), "\n");
  return text;
}

std::string events_text(const Heard& heard) {
  std::string text;
  for (const SoundEvent& event : heard.events)
    text += str(fixed(event.begin, 2), "\t", fixed(event.end, 2), "\t", printable(event.what), "\t",
                fixed(event.probability, 4), "\n");
  return text;
}

Json events_json(const Heard& heard, const ListenFlags& flags, int64_t smooth, double least) {
  Json j = {{"path", flags.sound},      {"seconds", heard.seconds}, {"window", heard.window},
            {"every", heard.every},     {"smooth", smooth},         {"least", least},
            {"windows", heard.windows}, {"events", Json::array()}};
  for (const SoundEvent& event : heard.events)
    j["events"].push_back(Json{{"begin", event.begin},
                               {"end", event.end},
                               {"heard", event.what},
                               {"probability", event.probability}});
  return j;
}

int listen_to(const ListenFlags& flags) {
  if (!flags.out.empty()) {
    if (lower_extension(flags.out) != ".csv")
      fail(ErrorCode::usage, flags.out, ": events are written as .csv");
    check_writable(flags.out);
  }
  const std::vector<std::byte> bytes = read_file(flags.sound, io::kMaxImageFileBytes);
  const io::Sound sound = io::decode_wav(bytes, flags.sound);
  models::Imported imported = load_with_head(flags.model, {});
  calibration_for(flags.precision, imported.model.card, flags.model);
  const Device device = open_named_device(flags.device, flags.precision);
  const Predictor predictor(std::move(imported), {.precision = flags.precision, .device = device});
  ProgressBar bar;
  ListenOptions options{.every = flags.every.value_or(0)};
  const bool has_texts = predictor.task() == "transcribe";
  options.smooth = flags.smooth.value_or(has_texts ? 1 : options.smooth);
  options.least = flags.least.value_or(has_texts ? 0 : options.least);
  options.on_progress = [&bar](int64_t done, int64_t all) { bar.update("windows", done, all); };
  const Heard heard = listen(predictor, sound, options);
  bar.clear();
  say_refusal(predictor.refusal(), flags.precision);
  say(fixed(heard.seconds, 1), " s at ", sound.rate, " Hz: ", thousands(heard.windows),
      " windows of ", fixed(heard.window, 2), " s every ", fixed(heard.every, 3), " s, ",
      thousands(std::ssize(heard.events)), " events");
  if (!flags.out.empty()) write_file_atomically(flags.out, events_csv(heard));
  if (flags.json)
    result(events_json(heard, flags, options.smooth, options.least));
  else
    result(events_text(heard));
  return 0;
}

}  // namespace

void add_listen(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "listen", "What a model of sounds hears in a long recording, with times, window by window");
  auto f = std::make_shared<ListenFlags>();
  verb->add_option("MODEL", f->model, "A model of graft that was trained on sounds")->required();
  verb->add_option("FILE", f->sound, "The recording (.wav)")->required();
  verb->add_option("--every", f->every,
                   "Seconds from one window to the next (default: half of the model's window, of "
                   "texts the whole)")
      ->transform(real_number_above(0, 1e6))
      ->type_name("S");
  verb->add_option("--smooth", f->smooth,
                   "Of how many successive windows, an odd number, the probabilities' mean is "
                   "taken (default 3; of texts 1)")
      ->transform(whole_number(1, 9999))
      ->type_name("N");
  verb->add_option("--least", f->least,
                   "From which mean probability on something is heard (default 0.5, of texts 0; 0 "
                   "for the model's own thresholds)")
      ->transform(real_number(0, 1))
      ->type_name("P");
  verb->add_option("--out", f->out, "Besides, the events as a table (.csv)")->type_name("FILE");
  verb->add_option("--precision", f->precision, kPrecisionHelp)
      ->check(CLI::IsMember({"fp32", "bf16", "fp16", "int8"}))
      ->type_name("P");
  add_device_flags(*verb, f->device);
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->footer(
      "Example:\n  graft listen run/model.safetensors meeting.wav --every 0.25 --smooth 5\n"
      "Each line is an event: begin and end in seconds, what is heard, the highest mean "
      "probability.");
  verb->callback([&action, f] { action = [f] { return listen_to(*f); }; });
}

}  // namespace graft::tools
