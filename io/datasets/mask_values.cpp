#include "graft/io/datasets/mask_values.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/class_names.h"

namespace graft::io {
namespace {

constexpr size_t kMostClasses = 255;    // the last value of a map is kIgnoredPixel
constexpr size_t kSmoothedValues = 16;  // so many grey levels are no numbers of classes
constexpr double kSmoothedShare = 0.1;  // at most of the pixels
constexpr int64_t kNamesLimit = int64_t{1} << 20;

const char* word_of(MaskForm form) {
  return form == MaskForm::grey      ? "grey levels"
         : form == MaskForm::palette ? "palette indices"
                                     : "colors";
}

std::optional<uint32_t> value_in(const std::string& text) {
  const bool is_color = text.size() == 7 && text[0] == '#';
  uint32_t value = 0;
  const char *begin = text.data() + (is_color ? 1 : 0), *end = text.data() + text.size();
  const auto read = std::from_chars(begin, end, value, is_color ? 16 : 10);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return value;
}

uint32_t value_asked(const std::string& text, const char* flag) {
  const auto value = value_in(text);
  GRAFT_CHECK(value.has_value(), flag, " '", text,
              "': a value of the masks is a number, or a color such as #ff0080");
  return *value;
}

std::string share_text(int64_t part, int64_t whole) {
  char text[32];
  std::snprintf(
      text, sizeof text, "%.1f %%",
      100.0 * static_cast<double>(part) / static_cast<double>(std::max<int64_t>(whole, 1)));
  return text;
}

std::vector<std::string> parts_between(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    std::string part = text.substr(at, end - at);
    part.erase(0, std::min(part.find_first_not_of(' '), part.size()));
    parts.push_back(std::move(part));
    at = end + 1;
  }
  return parts;
}

// "name,r,g,b" or "name:r,g,b:...".
std::optional<NamedColor> named_color(const std::string& line, char separator) {
  std::vector<std::string> cells = parts_between(line, separator);
  if (separator != ',' && cells.size() >= 2) {
    const std::vector<std::string> color = parts_between(cells[1], ',');
    cells.resize(1);
    cells.insert(cells.end(), color.begin(), color.end());
  }
  if (cells.size() < 4) return std::nullopt;
  NamedColor named{cells[0], 0};
  for (size_t i = 1; i <= 3; ++i) {
    const auto level = value_in(cells[i]);
    if (!level || *level > 255) return std::nullopt;  // the line of titles
    named.color = named.color << 8 | static_cast<int64_t>(*level);
  }
  return named;
}

int64_t all_pixels(const ValueCounts& found) {
  int64_t all = 0;
  for (const auto& [value, count] : found) all += count;
  return all;
}

// Whether grey levels between black and white are those of smoothed edges.
bool is_smoothed(MaskForm form, const ValueCounts& found) {
  if (form != MaskForm::grey || found.size() <= kSmoothedValues || !found.contains(0) ||
      !found.contains(255))
    return false;
  const int64_t all = all_pixels(found), between = all - found.at(0) - found.at(255);
  return static_cast<double>(between) <= kSmoothedShare * static_cast<double>(all);
}

}  // namespace

std::string value_text(MaskForm form, uint32_t value) {
  if (form != MaskForm::color) return std::to_string(value);
  char text[16];
  std::snprintf(text, sizeof text, "#%06x", value);
  return text;
}

ValueCounts by_color(const MaskImage& mask, const ValueCounts& counts) {
  ValueCounts colors;
  for (const auto& [value, count] : counts) colors[mask.color_of(value)] += count;
  return colors;
}

MaskValues::MaskValues(MaskForm form, const ValueCounts& found,
                       const std::vector<NamedColor>& named, const MaskOptions& options,
                       const std::string& path)
    : form_(form) {
  std::vector<uint32_t> values;
  const bool smoothed = is_smoothed(form, found);
  for (const auto& [value, count] : found)
    if (!smoothed || value == 0 || value == 255) values.push_back(value);
  if (!options.ignored.empty()) {
    const uint32_t ignored = value_asked(options.ignored, "--ignore-value");
    const auto at = std::find(values.begin(), values.end(), ignored);
    if (at == values.end())
      notes_.push_back(
          str("masks: no pixel has the value ", options.ignored, " that was to be left out"));
    else
      notes_.push_back(str("masks: ", value_text(form, ignored), " (",
                           share_text(found.at(ignored), all_pixels(found)),
                           " of the pixels) counts for nothing, as asked for"));
    std::erase(values, ignored);
  }
  GRAFT_CHECK(!values.empty(), path, ": every pixel of the masks is left out (--ignore-value ",
              options.ignored, ")");
  GRAFT_CHECK(values.size() <= kMostClasses, path, ": the masks hold ", values.size(),
              " different ", word_of(form), ", more than the ", kMostClasses,
              " classes that are possible: these look like photos, not masks");
  if (!options.foreground.empty()) {
    const uint32_t wanted = value_asked(options.foreground, "--foreground");
    const auto at = std::find(values.begin(), values.end(), wanted);
    std::vector<std::string> texts;
    for (const uint32_t value : values) texts.push_back(value_text(form, value));
    GRAFT_CHECK(at != values.end() && values.size() == 2, path, ": --foreground ",
                options.foreground, " says which of two values is looked for; the masks have ",
                short_list(texts));
    std::rotate(at, at + 1, values.end());
  }
  give_classes(values, named);
  say(found, values);
  if (smoothed) read_smoothed(found);
}

void MaskValues::give_classes(const std::vector<uint32_t>& values,
                              const std::vector<NamedColor>& named) {
  const bool has_colors =
      std::any_of(named.begin(), named.end(), [](const NamedColor& n) { return n.color >= 0; });
  for (const uint32_t value : values) {
    classes_[value] = static_cast<uint8_t>(names_.size());
    std::string name = value_text(form_, value);
    if (form_ == MaskForm::color || (form_ == MaskForm::grey && has_colors)) {
      const MaskImage plain{0, 0, form_, {}, {}};
      for (const NamedColor& known : named)
        if (known.color == static_cast<int64_t>(plain.color_of(value))) name = known.name;
    } else if (value < named.size()) {
      name = named[value].name;
    }
    names_.push_back(std::move(name));
  }
}

// As with a threshold of 128.
void MaskValues::read_smoothed(const ValueCounts& found) {
  int64_t between = 0;
  for (const auto& [value, count] : found) {
    if (value == 0 || value == 255) continue;
    between += count;
    const auto nearer = classes_.find(value < 128 ? 0 : 255);
    classes_[value] = nearer == classes_.end() ? kIgnoredPixel : nearer->second;
  }
  doubts_.push_back(str("masks: ", found.size() - 2, " grey levels between 0 and 255 (",
                        share_text(between, all_pixels(found)),
                        " of the pixels) look like smoothed edges: each counts as the nearer of "
                        "both"));
}

void MaskValues::say(const ValueCounts& found, const std::vector<uint32_t>& values) {
  const int64_t all = all_pixels(found);
  std::vector<std::string> parts;
  for (size_t c = 0; c < values.size(); ++c) {
    const std::string text = value_text(form_, values[c]);
    parts.push_back(str(text, names_[c] == text ? "" : " " + names_[c], " (",
                        share_text(found.at(values[c]), all), ")"));
  }
  notes_.insert(notes_.begin(),
                str("masks: the ", word_of(form_), " found are ", short_list(parts, 24),
                    ": of the pixels so much each; in this order they are read as ",
                    values.size() == 1   ? "class 0"
                    : values.size() == 2 ? std::string("classes 0 and 1")
                                         : str("classes 0 to ", values.size() - 1)));
  const bool is_likely_void = form_ != MaskForm::color && values.size() > 2 &&
                              values.back() == 255 && values[values.size() - 2] < 254;
  if (is_likely_void && classes_.contains(255))
    doubts_.push_back(
        "masks: 255 beside small numbers often marks pixels that are not judged; "
        "here it is a class (--ignore-value 255 leaves it out)");
  if (form_ == MaskForm::color && values.size() > 32)
    doubts_.push_back(str("masks: ", values.size(),
                          " different colors, each of them a class; masks saved smoothed have "
                          "such"));
}

uint8_t MaskValues::class_of(uint32_t value) const {
  const auto found = classes_.find(value);
  return found == classes_.end() ? kIgnoredPixel : found->second;
}

Image MaskValues::map_of(const MaskImage& mask) const {
  Image map{mask.width, mask.height, 1,
            Tensor::empty({mask.height, mask.width, 1}, {.dtype = DType::u8})};
  uint8_t* to = map.pixels.mutable_data<uint8_t>();
  const bool converts = form_ == MaskForm::color;
  uint32_t last = 0;
  uint8_t last_class = class_of(converts ? mask.color_of(0) : 0);
  for (const uint32_t value : mask.values) {
    if (value != last) last_class = class_of(converts ? mask.color_of(value) : value);
    last = value;
    *to++ = last_class;
  }
  return map;
}

std::vector<int64_t> MaskValues::pixels_of(const ValueCounts& counts) const {
  std::vector<int64_t> pixels(names_.size());
  for (const auto& [value, count] : counts)
    if (const uint8_t c = class_of(value); c != kIgnoredPixel) pixels[c] += count;
  return pixels;
}

std::vector<NamedColor> named_colors(const std::string& folder, std::string& file) {
  struct Kind {
    const char* name;
    char separator;  // 0: a name a line
  };
  for (const auto& [name, separator] : {Kind{"class_dict.csv", ','}, Kind{"labelmap.txt", ':'},
                                        Kind{"classes.txt", 0}, Kind{"codes.txt", 0}}) {
    file = join_path(folder, name);
    if (!file_system().exists(file) || file_system().is_directory(file)) continue;
    std::vector<NamedColor> named;
    std::string text = read_text_file(file, kNamesLimit);
    std::erase(text, '\r');
    for (const std::string& line : parts_between(text, '\n')) {
      if (line.empty() || line[0] == '#') continue;
      if (separator == 0)
        named.push_back({line, -1});
      else if (const auto known = named_color(line, separator))
        named.push_back(*known);
    }
    if (!named.empty()) return named;
  }
  file.clear();
  return {};
}

}  // namespace graft::io
