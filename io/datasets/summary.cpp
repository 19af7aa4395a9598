#include "graft/io/datasets/summary.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/groups.h"
#include "graft/io/datasets/twins.h"

namespace graft::io {
namespace {

constexpr int64_t kImbalance = 10;
constexpr int64_t kFewPixels = 8;

// 0.00374, 1.07e-07, 45.13
std::string four_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

// 25,557,032
std::string grouped(int64_t value) {
  std::string digits = std::to_string(value);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string padded_to(std::string text, size_t width, bool right) {
  size_t letters = 0;
  for (const char c : text) letters += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  if (letters < width) text.insert(right ? 0 : text.size(), width - letters, ' ');
  return text;
}

size_t letters_of(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

NumberRange range_of(const Dataset& dataset, size_t number) {
  NumberRange range{INFINITY, 0, -INFINITY};
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const double value = dataset.numbers(i).at(number);
    range.lowest = std::min(range.lowest, value);
    range.highest = std::max(range.highest, value);
    range.mean += (value - range.mean) / static_cast<double>(i + 1);
  }
  return dataset.size() > 0 ? range : NumberRange{};
}

PartSummary count_part(const char* name, const Dataset& dataset, const OpenedData& data) {
  PartSummary part;
  part.name = name;
  part.images = dataset.size();
  part.groups = std::ssize(group_names(dataset));
  const size_t classes = data.classes.size();
  if (data.answers == AnswerKind::numbers) {
    for (size_t c = 0; c < classes; ++c) part.numbers.push_back(range_of(dataset, c));
    return part;
  }
  part.counts.resize(classes);
  if (data.answers == AnswerKind::maps) part.pixels.resize(classes);
  if (data.answers == AnswerKind::boxes) part.boxes.resize(classes);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const std::vector<int64_t> labels = dataset.labels(i);
    for (const int64_t label : labels) ++part.counts.at(static_cast<size_t>(label));
    part.unlabelled += labels.empty();
    const std::vector<int64_t> pixels = dataset.map_facts(i).pixels;
    for (size_t c = 0; c < std::min(pixels.size(), part.pixels.size()); ++c)
      part.pixels[c] += pixels[c];
    if (!part.boxes.empty())
      for (const LabelledBox& box : dataset.boxes(i).boxes)
        ++part.boxes.at(static_cast<size_t>(box.label));
  }
  return part;
}

// "12 classes", "3 labels", "1 number".
std::string what_is_known(AnswerKind answers, size_t count) {
  if (answers == AnswerKind::one_label || answers == AnswerKind::maps ||
      answers == AnswerKind::boxes)
    return str(count, count == 1 ? " class" : " classes",
               answers == AnswerKind::maps    ? " of pixels"
               : answers == AnswerKind::boxes ? " of objects"
                                              : "");
  const char* one = answers == AnswerKind::numbers ? " number"
                    : answers == AnswerKind::text  ? " character"
                                                   : " label";
  return str(count, one, count == 1 ? "" : "s");
}

void doubt_counts(const DataSummary& summary, std::vector<std::string>& doubts) {
  const PartSummary& first = summary.parts[0];
  std::vector<std::string> single;
  size_t least = 0, most = 0;
  for (size_t c = 0; c < first.counts.size(); ++c) {
    if (first.counts[c] == 1) single.push_back(summary.classes[c]);
    if (first.counts[c] < first.counts[least]) least = c;
    if (first.counts[c] > first.counts[most]) most = c;
  }
  if (!single.empty())
    doubts.push_back(str("one ", first.name, " ", summary.files.one, " only: ", short_list(single),
                         summary.parts.size() > 1 && first.name == "training"
                             ? "; nothing of such a class is held out"
                             : ""));
  if (!first.counts.empty() && first.counts[most] > kImbalance * first.counts[least])
    doubts.push_back(str("the classes are uneven: ", first.counts[most], " ", first.name, " ",
                         summary.files.many, " of ", summary.classes[most], ", ",
                         first.counts[least], " of ", summary.classes[least],
                         "; a model may do well by naming the large ones (--balance weights)"));
}

// Classes of pixels or objects that no image of the first part has.
void doubt_absent(const DataSummary& summary, std::vector<std::string>& doubts) {
  std::vector<std::string> absent;
  const PartSummary& first = summary.parts[0];
  for (size_t c = 0; c < first.counts.size(); ++c)
    if (first.counts[c] == 0) absent.push_back(summary.classes[c]);
  if (!absent.empty())
    doubts.push_back(str("no ", first.name, " image has ",
                         summary.answers == AnswerKind::boxes ? "an object" : "pixels", " of ",
                         short_list(absent)));
}

struct Placed {
  const Dataset* dataset;
  const char* part;
  int64_t index;
};

// Groups that were parted by whoever made the parts.
void doubt_groups(const OpenedData& data, DataSummary& summary) {
  std::map<std::string, int64_t> parts_with;
  for (const auto& part : {data.train, data.val, data.test})
    if (part)
      for (const std::string& group : group_names(*part)) ++parts_with[group];
  for (const auto& [group, parts] : parts_with)
    if (parts > 1) summary.groups_across.push_back(group);
  const size_t across = summary.groups_across.size();
  if (across > 0)
    summary.doubts.push_back(
        str(across, across == 1 ? " group has" : " groups have",
            " images in more than one part, so that the parts are not apart and results on them "
            "flatter the model: ",
            short_list(summary.groups_across)));
}

// The same file twice: in two parts, or under two labels.
void doubt_equal_files(const std::vector<Placed>& all, const std::vector<ImageFacts>& facts,
                       const FileKind& kind, std::vector<std::string>& doubts) {
  int64_t across = 0, contrary = 0;
  std::string across_example, contrary_example;
  for (const auto& group : equal_twins(facts)) {
    const Placed& first = all[static_cast<size_t>(group[0])];
    const Placed *elsewhere = nullptr, *otherwise = nullptr;
    for (const int64_t i : group) {
      const Placed& other = all[static_cast<size_t>(i)];
      if (other.part != first.part && !elsewhere) elsewhere = &other;
      const bool is_alike =
          other.dataset->labels(other.index) == first.dataset->labels(first.index) &&
          other.dataset->numbers(other.index) == first.dataset->numbers(first.index);
      if (!is_alike && !otherwise) otherwise = &other;
    }
    const auto pair = [&](const Placed& other) {
      return str(first.dataset->name(first.index), " and ", other.dataset->name(other.index));
    };
    if (elsewhere && across++ == 0) across_example = pair(*elsewhere);
    if (otherwise && contrary++ == 0) contrary_example = pair(*otherwise);
  }
  if (across > 0)
    doubts.push_back(
        str(across, " ", across == 1 ? kind.one + " is" : kind.many + " are",
            " byte for byte in two parts, so that what is measured flatters: ", across_example));
  if (contrary > 0)
    doubts.push_back(str(contrary, " ", contrary == 1 ? kind.one + " stands" : kind.many + " stand",
                         " under two labels: ", contrary_example));
}

void doubt_sizes(const std::vector<Placed>& all, const std::vector<ImageFacts>& facts,
                 std::vector<std::string>& doubts) {
  int64_t tiny = 0;
  std::string example;
  for (size_t i = 0; i < facts.size(); ++i) {
    if (!facts[i].fault.empty() || std::min(facts[i].width, facts[i].height) >= kFewPixels)
      continue;
    if (tiny++ == 0)
      example =
          str(all[i].dataset->name(all[i].index), " of ", facts[i].width, "x", facts[i].height);
  }
  if (tiny > 0 && tiny < std::ssize(facts))
    doubts.push_back(str(tiny, tiny == 1 ? " image is" : " images are", " less than ", kFewPixels,
                         " pixels wide or high: ", example));
}

}  // namespace

DataSummary summarize(const std::string& path, const OpenedData& data, const PartFacts& facts) {
  DataSummary summary{.path = path,
                      .format = data.format,
                      .answers = data.answers,
                      .classes = data.classes,
                      .passed_over = data.passed_over,
                      .doubts = data.doubts,
                      .notes = data.notes,
                      .files = data.files};
  std::vector<Placed> all;
  std::vector<ImageFacts> all_facts;
  const auto add = [&](const char* name, const std::shared_ptr<const Dataset>& dataset,
                       const std::vector<ImageFacts>& of_part) {
    if (!dataset) return;
    summary.parts.push_back(count_part(name, *dataset, data));
    if (const int64_t without = summary.parts.back().unlabelled; without > 0)
      summary.notes.push_back(
          str(without, " ", name, " ",
              without == 1 ? data.files.one + " has" : data.files.many + " have",
              data.answers == AnswerKind::maps    ? " a mask that leaves every pixel out"
              : data.answers == AnswerKind::boxes ? " no objects"
              : data.answers == AnswerKind::text  ? " an empty text"
                                                  : " no label: they are examples of none"));
    if (std::ssize(of_part) != dataset->size()) return;
    for (int64_t i = 0; i < dataset->size(); ++i) all.push_back({dataset.get(), name, i});
    all_facts.insert(all_facts.end(), of_part.begin(), of_part.end());
  };
  add("training", data.train, facts.train);
  add("validation", data.val, facts.val);
  add("test", data.test, facts.test);
  if (summary.parts.empty()) return summary;
  doubt_groups(data, summary);
  if (data.answers == AnswerKind::maps || data.answers == AnswerKind::boxes)
    doubt_absent(summary, summary.doubts);
  else if (data.answers != AnswerKind::numbers && data.answers != AnswerKind::text)
    doubt_counts(summary, summary.doubts);
  doubt_equal_files(all, all_facts, data.files, summary.doubts);
  if (data.files.is_images()) doubt_sizes(all, all_facts, summary.doubts);
  for (const std::string& remark : remarks_of(all_facts, data.files))
    summary.notes.push_back(remark);
  return summary;
}

namespace {

// Lowest, mean and highest of each number, in the parts side by side.
void add_number_lines(const DataSummary& summary, std::vector<std::string>& lines) {
  size_t width = 6;
  for (const std::string& name : summary.classes) width = std::max(width, letters_of(name));
  for (size_t c = 0; c < summary.classes.size(); ++c) {
    std::string line = "  " + padded_to(summary.classes[c], width, false);
    for (const PartSummary& part : summary.parts) {
      const NumberRange& range = part.numbers.at(c);
      line += str("  ", part.name, " ", four_digits(range.lowest), " to ",
                  four_digits(range.highest), " (mean ", four_digits(range.mean), ")");
    }
    lines.push_back(std::move(line));
  }
}

// "12.5 %" of the part's pixels.
std::string pixel_share(const PartSummary& part, size_t c) {
  const auto all =
      static_cast<double>(std::accumulate(part.pixels.begin(), part.pixels.end(), int64_t{0}));
  char text[16];
  std::snprintf(text, sizeof text, "%.1f %%",
                all > 0 ? 100 * static_cast<double>(part.pixels[c]) / all : 0);
  return text;
}

std::vector<std::string> with_remarks(const DataSummary& summary, std::vector<std::string> lines) {
  std::vector<std::string> groups;
  for (const PartSummary& part : summary.parts)
    if (part.groups > 0) groups.push_back(str(grouped(part.groups), " ", part.name));
  if (!groups.empty()) lines.push_back("groups: " + join(groups, " and "));
  if (!summary.passed_over.empty())
    lines.push_back("passed over: " + summary.passed_over.to_text());
  for (const std::string& doubt : summary.doubts) lines.push_back("doubt: " + doubt);
  for (const std::string& note : summary.notes) lines.push_back("note: " + note);
  return lines;
}

}  // namespace

std::vector<std::string> DataSummary::lines(size_t most) const {
  std::vector<std::string> counts;
  for (const PartSummary& part : parts) counts.push_back(str(grouped(part.images), " ", part.name));
  std::vector<std::string> result = {str("data: ", path, " (", format, "), ",
                                         what_is_known(answers, classes.size()), ", ",
                                         join(counts, " and "), " ", files.many)};
  if (answers == AnswerKind::numbers) {
    add_number_lines(*this, result);
    return with_remarks(*this, std::move(result));
  }
  std::vector<size_t> shown;
  for (size_t c = 0; c < classes.size(); ++c) shown.push_back(c);
  if (classes.size() > most && !parts.empty()) {  // the first, then the smallest
    std::vector<size_t> rest(shown.begin() + static_cast<std::ptrdiff_t>(most / 2), shown.end());
    std::stable_sort(rest.begin(), rest.end(),
                     [&](size_t a, size_t b) { return parts[0].counts[a] < parts[0].counts[b]; });
    shown.resize(most / 2);
    shown.insert(shown.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(most / 2));
  }
  size_t width = answers == AnswerKind::text ? 9 : 5;
  for (const size_t c : shown) width = std::max(width, letters_of(classes[c]));
  const bool has_pixels = answers == AnswerKind::maps;
  const bool has_boxes = answers == AnswerKind::boxes;
  const char* kind = answers == AnswerKind::one_label || has_pixels || has_boxes ? "class"
                     : answers == AnswerKind::text                               ? "character"
                                                                                 : "label";
  std::string head = "  " + padded_to(kind, width, false);
  for (const PartSummary& part : parts)
    head += "  " + padded_to(part.name, 10, true) +
            (has_pixels  ? "   pixels"
             : has_boxes ? "    boxes"
                         : "");
  result.push_back(head);
  for (size_t row = 0; row < shown.size(); ++row) {
    if (shown.size() < classes.size() && row == most / 2)
      result.push_back(
          str("  ... of ", what_is_known(answers, classes.size()), "; the smallest others:"));
    std::string line = "  " + padded_to(classes[shown[row]], width, false);
    for (const PartSummary& part : parts)
      line += "  " + padded_to(grouped(part.counts[shown[row]]), 10, true) +
              (has_pixels  ? padded_to(pixel_share(part, shown[row]), 9, true)
               : has_boxes ? padded_to(grouped(part.boxes[shown[row]]), 9, true)
                           : std::string());
    result.push_back(line);
  }
  return with_remarks(*this, std::move(result));
}

std::string DataSummary::to_json() const {
  using Json = nlohmann::ordered_json;
  Json j = {{"path", path}, {"format", format}, {"parts", Json::object()}};
  if (!input.empty()) {
    j["input"] = input;
    j["why_input"] = why_input;
  }
  for (const PartSummary& part : parts) j["parts"][part.name] = part.images;
  if (answers != AnswerKind::one_label)
    j["answers"] = answers == AnswerKind::numbers ? "numbers"
                   : answers == AnswerKind::maps  ? "maps"
                   : answers == AnswerKind::boxes ? "boxes"
                   : answers == AnswerKind::text  ? "texts"
                                                  : "several labels";
  j["classes"] = nlohmann::ordered_json::array();
  for (size_t c = 0; c < classes.size(); ++c) {
    nlohmann::ordered_json row = {{"name", classes[c]}};
    for (const PartSummary& part : parts)
      if (answers == AnswerKind::numbers)
        row[part.name] = {{"lowest", part.numbers[c].lowest},
                          {"mean", part.numbers[c].mean},
                          {"highest", part.numbers[c].highest}};
      else if (answers == AnswerKind::maps)
        row[part.name] = {{"images", part.counts[c]}, {"pixels", part.pixels[c]}};
      else if (answers == AnswerKind::boxes)
        row[part.name] = {{"images", part.counts[c]}, {"boxes", part.boxes[c]}};
      else
        row[part.name] = part.counts[c];
    j["classes"].push_back(row);
  }
  for (const PartSummary& part : parts)
    if (part.groups > 0) j["groups"][part.name] = part.groups;
  if (j.contains("groups")) j["groups"]["across_parts"] = groups_across;
  j["passed_over"] = passed_over.counts;
  j["doubts"] = doubts;
  j["notes"] = notes;
  return j.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::vector<std::string> shape_doubts(const std::vector<ImageFacts>& facts,
                                      const Preprocess& preprocess) {
  std::vector<std::pair<int64_t, int64_t>> sizes;
  double lost = 0;
  std::vector<int64_t> shorter;
  for (const ImageFacts& of_image : facts) {
    if (!of_image.fault.empty() || of_image.width < 1 || of_image.height < 1) continue;
    const double ratio = static_cast<double>(of_image.width * preprocess.size) /
                         static_cast<double>(of_image.height * preprocess.input_width());
    lost += 1 - std::min(ratio, 1 / ratio);
    shorter.push_back(std::min(of_image.width, of_image.height));
    sizes.emplace_back(of_image.width * of_image.height, of_image.width);
  }
  if (shorter.empty()) return {};
  lost /= static_cast<double>(shorter.size());
  const auto middle = static_cast<std::ptrdiff_t>(shorter.size() / 2);
  std::nth_element(shorter.begin(), shorter.begin() + middle, shorter.end());
  std::nth_element(sizes.begin(), sizes.begin() + middle, sizes.end());
  const auto [area, width] = sizes[static_cast<size_t>(middle)];
  std::vector<std::string> doubts;
  if (preprocess.crops() && lost > 1.0 / 3)
    doubts.push_back(str(
        "the images are far from ",
        preprocess.size == preprocess.input_width()
            ? "square"
            : str("the network's proportions, ", preprocess.input_width(), "x", preprocess.size),
        " (the middle one by area is ", width, "x", area / width, "): the crop leaves out ",
        static_cast<int64_t>(lost * 100 + 0.5),
        " % of their area; --resize squash or --resize pad keeps it"));
  const int64_t least = shorter[static_cast<size_t>(middle)];
  if (least * 4 < preprocess.short_side())
    doubts.push_back(str("the images are small (", least,
                         " pixels on the shorter side of the "
                         "middle one): they are enlarged to ",
                         preprocess.short_side(),
                         "; --image-size or a network for small images may do better"));
  return doubts;
}

}  // namespace graft::io
