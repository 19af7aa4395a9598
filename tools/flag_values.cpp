#include "graft/tools/flag_values.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "graft/core/base/text.h"

namespace graft::tools {
namespace {

constexpr uint64_t kMostBytes = uint64_t{1} << 46;

std::optional<uint64_t> decimal_digits(std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == end;
  return whole && !text.empty() && text[0] != '+' ? std::optional(value) : std::nullopt;
}

std::optional<double> finite_number(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == end && std::isfinite(value);
  return whole ? std::optional(value) : std::nullopt;
}

// "512M" -> 512 * 2^20.
std::optional<uint64_t> bytes_of(std::string_view text) {
  const size_t unit_at = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::optional<uint64_t> count = decimal_digits(text.substr(0, unit_at));
  std::string unit(text.substr(unit_at));
  for (char& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  constexpr std::string_view powers = "KMGT";
  int shift = 0;
  if (!unit.empty() && powers.find(unit[0]) != std::string_view::npos) {
    shift = 10 * (1 + static_cast<int>(powers.find(unit[0])));
    unit.erase(0, 1);
    if (unit == "IB") unit = "B";
  }
  if (!count || !(unit.empty() || unit == "B") || *count > kMostBytes >> shift) return std::nullopt;
  return *count << shift;
}

template <class Parse>
CLI::Validator in_range(Parse parse, const std::string& words) {
  return CLI::Validator(
      [parse, words](std::string& text) {
        const auto value = parse(text);
        if (!value) return str("'", text, "' is not ", words);
        text = str(*value);
        return std::string();
      },
      words);
}

CLI::Validator real_within(double least, bool is_open, double most) {
  return in_range(
      [=](const std::string& text) {
        const std::optional<double> value = finite_number(text);
        const bool inside = value && *value <= most && (is_open ? *value > least : *value >= least);
        return inside ? value : std::nullopt;
      },
      is_open ? str("a number above ", least, " and up to ", most)
              : str("a number from ", least, " to ", most));
}

}  // namespace

CLI::Validator whole_number(uint64_t least, uint64_t most) {
  return in_range(
      [=](const std::string& text) {
        const std::optional<uint64_t> value = decimal_digits(text);
        return value && *value >= least && *value <= most ? value : std::nullopt;
      },
      str("a whole number from ", least, " to ", most));
}

CLI::Validator image_sides(uint64_t least, uint64_t most) {
  return in_range(
      [=](const std::string& text) -> std::optional<std::string> {
        const size_t by = text.find('x');
        const auto height = decimal_digits(std::string_view(text).substr(0, by)),
                   width = by == std::string::npos
                               ? height
                               : decimal_digits(std::string_view(text).substr(by + 1));
        for (const auto& side : {height, width})
          if (!side || *side < least || *side > most) return std::nullopt;
        return by == std::string::npos ? str(*height) : str(*height, "x", *width);
      },
      str("a whole number from ", least, " to ", most, ", or height and width, as 64x192"));
}

CLI::Validator real_number(double least, double most) { return real_within(least, false, most); }
CLI::Validator real_number_above(double bound, double most) {
  return real_within(bound, true, most);
}

CLI::Validator size_in_bytes(uint64_t least) {
  return in_range(
      [=](const std::string& text) {
        const std::optional<uint64_t> value = bytes_of(text);
        return value && *value >= least ? value : std::nullopt;
      },
      str("a size from ", least, " bytes to 64T, as 512M or 2G"));
}

void refuse_blank_values(CLI::App& app) {
  for (CLI::App* verb : app.get_subcommands({}))
    for (CLI::Option* option : verb->get_options()) {
      if (option->get_items_expected_max() == 0) continue;
      option->check(CLI::Validator(
          [](std::string& text) {
            return text.find_first_not_of(" \t\r\n\v\f") == std::string::npos
                       ? std::string("an empty value says nothing")
                       : std::string();
          },
          ""));
    }
}

}  // namespace graft::tools
