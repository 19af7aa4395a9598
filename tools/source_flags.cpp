#include "graft/tools/source_flags.h"

#include <CLI/CLI.hpp>
#include <charconv>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/models/labels.h"
#include "graft/models/preprocess_guess.h"
namespace graft::tools {
namespace {

constexpr int64_t kMostLabelBytes = int64_t{64} << 20;

// "0.00392", "1/255".
double number_or_fraction(const std::string& text) {
  const size_t slash = text.find('/');
  const auto number = [&](std::string_view part) {
    double value = 0;
    const auto read = std::from_chars(part.data(), part.data() + part.size(), value);
    if (read.ec != std::errc() || read.ptr != part.data() + part.size())
      fail(ErrorCode::usage, "--scale ", text, ": is neither a number nor a fraction like 1/255");
    return value;
  };
  const double above = number(std::string_view(text).substr(0, slash));
  return slash == std::string::npos ? above
                                    : above / number(std::string_view(text).substr(slash + 1));
}

std::vector<double> for_channels(const std::vector<double>& given, int64_t channels,
                                 const char* flag) {
  if (given.size() == 1) return std::vector<double>(static_cast<size_t>(channels), given[0]);
  GRAFT_CHECK(std::ssize(given) == channels, flag, " has ", given.size(),
              " numbers; the network takes ", channels, " channels");
  return given;
}

}  // namespace

models::ImportOptions SourceFlags::options(models::ImportOptions rest) const {
  rest.prefix = prefix;
  rest.output = output;
  return rest;
}

void add_source_flags(CLI::App& verb, SourceFlags& flags, ClassNames names) {
  verb.add_option("--prefix", flags.prefix,
                  "The network's tensors are those under this prefix (default: searched for)")
      ->type_name("TEXT");
  verb.add_option("--output", flags.output, "Of a graph with several outputs, the one to use")
      ->type_name("TEXT");
  verb.add_option("--mean", flags.mean,
                  "What is subtracted from scaled pixels: one number, or one a channel in the "
                  "network's order (default: what the file says, else guessed)")
      ->delimiter(',')
      ->type_name("M,M,M");
  verb.add_option("--std", flags.deviation, "What they are divided by then; likewise")
      ->delimiter(',')
      ->type_name("D,D,D");
  verb.add_option("--scale", flags.scale, "What pixels of 0 to 255 are multiplied by first")
      ->type_name("TEXT");
  verb.add_option("--channel-order", flags.channel_order, "Of the network's input: rgb or bgr")
      ->check(CLI::IsMember({"rgb", "bgr"}))
      ->type_name("O");
  if (names == ClassNames::asked_for)
    verb.add_option("--labels", flags.labels, "The classes' names, in order: a line each, or JSON")
        ->type_name("FILE");
}

void apply_source_flags(const SourceFlags& flags, models::Imported& imported) {
  models::ModelCard& card = imported.model.card;
  io::Preprocess& p = card.preprocess;
  std::vector<std::string> given;
  if (flags.scale) p.scale = number_or_fraction(*flags.scale), given.push_back("--scale");
  if (!flags.mean.empty())
    p.mean = for_channels(flags.mean, p.channels, "--mean"), given.push_back("--mean");
  if (!flags.deviation.empty())
    p.deviation = for_channels(flags.deviation, p.channels, "--std"), given.push_back("--std");
  if (!flags.channel_order.empty())
    p.bgr = flags.channel_order == "bgr", given.push_back("--channel-order");
  if (!given.empty()) {
    p.validate();
    card.preprocess_known = true;
    imported.certificate.preprocess = {models::text_of(p), true, "by " + join(given)};
  }
  if (flags.labels.empty()) return;
  const std::vector<std::string> labels =
      models::labels_from_text(read_text_file(flags.labels, kMostLabelBytes));
  const int64_t classes = models::classes_of(card.architecture);
  GRAFT_CHECK(std::ssize(labels) == classes, flags.labels, ": has ", labels.size(),
              " names, the network has ", classes, " classes");
  card.labels = labels;
}

}  // namespace graft::tools
