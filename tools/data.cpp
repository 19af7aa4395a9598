// graft data: what a data set holds, at length: parts, classes, files passed over, images that are
// broken, odd or twins.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/io/datasets/changed_files.h"
#include "graft/io/datasets/class_names.h"
#include "graft/io/datasets/summary.h"
#include "graft/io/datasets/twins.h"
#include "graft/io/images/png_writer.h"
#include "graft/tools/column_flags.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/mask_flags.h"
#include "graft/tools/output.h"
#include "graft/tools/pixel_flag.h"
#include "graft/tools/progress.h"
#include "graft/tools/verbs.h"
#include "graft/train/inputs/table.h"
#include "graft/train/tasks/detection/box_canvas.h"

namespace graft::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kShown = 20;
constexpr int64_t kMostDrawn = 500;  // images of a part

struct Sample {
  const char* part;
  std::string name;
  std::vector<int64_t> labels;
  std::vector<double> numbers;
};

// Everything known of all parts, one sample after another.
struct Inspection {
  io::DataSummary summary;
  std::vector<Sample> samples;
  std::vector<io::ImageFacts> facts;
  io::TwinGroups equal, near;
  bool are_compared = true;
  int64_t pictures = 0;  // that were written
};

// --pictures: the images of a part with the boxes of their objects, DIR/training/NAME.png; of many
// some, evenly; of images of one name the later get numbers.
class DrawnPart {
 public:
  DrawnPart(const std::string& folder, const char* part) : folder_(join_path(folder, part)) {
    file_system().create_directories(folder_);
  }
  // How many were written; images that cannot be read are in the list of broken ones.
  int64_t write(const io::Dataset& dataset, ProgressBar& bar) {
    const int64_t count = std::min(kMostDrawn, dataset.size());
    int64_t drawn = 0;
    for (int64_t i = 0; i < count; ++i) {
      drawn += draw(dataset, i * dataset.size() / count);
      bar.update("drawing boxes", i + 1, count);
    }
    if (count < dataset.size())
      say("note: ", folder_, " has ", thousands(count), " of ", thousands(dataset.size()),
          " images, evenly drawn");
    return drawn;
  }

 private:
  bool draw(const io::Dataset& dataset, int64_t sample) {
    try {
      const io::Image picture = train::with_boxes(dataset.image(sample), dataset.boxes(sample));
      std::string stem = file_name(dataset.name(sample));
      stem.resize(stem.size() - lower_extension(stem).size());
      const int64_t times = ++written_[stem];
      if (times > 1) stem += str("_", times);
      io::write_png(join_path(folder_, stem + ".png"), picture);
      return true;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_input) throw;
      return false;
    }
  }

  std::string folder_;
  std::map<std::string, int64_t> written_;  // by the image's name
};

struct DataFlags {
  std::string path, val, pictures, group_pattern;
  io::TableColumns columns;
  io::MaskOptions masks;
  int threads = 0;
  bool json = false;
};

Inspection inspect_data(const DataFlags& flags) {
  const std::string& path = flags.path;
  const train::ChosenInput chosen = train::choose_input("auto", path);
  if (!chosen.why.empty()) say("input: ", chosen.input->name(), ", ", printable(chosen.why));
  const bool are_images = chosen.input->files().is_images();
  io::OpenedData opened = io::open_data(path, {.columns = flags.columns,
                                               .masks = flags.masks,
                                               .answers = io::AnswerKind::by_form,
                                               .files = chosen.input->files(),
                                               .val_path = flags.val,
                                               .val_split = 0,
                                               .least_classes = 1,
                                               .group_pattern = flags.group_pattern});
  GRAFT_CHECK(flags.pictures.empty() || opened.answers == io::AnswerKind::boxes, path,
              ": --pictures draws the boxes of objects, and there are none");
  Inspection all;
  ProgressBar bar;
  io::PartFacts facts;
  const auto look = [&](const char* part, std::shared_ptr<const io::Dataset>& dataset,
                        std::vector<io::ImageFacts>& of_part) {
    if (!dataset) return;
    of_part = train::census_of(*chosen.input, *dataset,
                               {.looks = are_images, .progress = [&](int64_t done, int64_t total) {
                                  bar.update("looking at " + opened.files.many, done, total);
                                }});
    for (int64_t i = 0; i < dataset->size(); ++i)
      all.samples.push_back({part, dataset->name(i), dataset->labels(i), dataset->numbers(i)});
    all.facts.insert(all.facts.end(), of_part.begin(), of_part.end());
    if (!flags.pictures.empty())
      all.pictures += DrawnPart(flags.pictures, part).write(*dataset, bar);
  };
  look("training", opened.train, facts.train);
  look("validation", opened.val, facts.val);
  look("test", opened.test, facts.test);
  bar.clear();
  if (const std::string changed = io::changed_files(opened); !changed.empty())
    opened.notes.push_back(changed);
  all.summary = io::summarize(path, opened, facts);
  all.equal = io::equal_twins(all.facts);
  if (!are_images) {
    all.summary.input = chosen.input->name();
    all.summary.why_input = chosen.why;
    return all;
  }
  all.are_compared = std::ssize(all.facts) <= io::kMostCompared;
  if (all.are_compared) all.near = io::near_twins(all.facts);
  return all;
}

struct ClassFacts {
  std::vector<int64_t> areas, widths, heights;
  int64_t grey = 0, color = 0, broken = 0;

  void add(const io::ImageFacts& facts) {
    if (!facts.fault.empty()) {
      ++broken;
      return;
    }
    areas.push_back(facts.width * facts.height);
    widths.push_back(facts.width);
    heights.push_back(facts.height);
    ++(facts.channels == 1 ? grey : color);
  }
  static Json range(std::vector<int64_t> values) {
    if (values.empty()) return nullptr;
    std::sort(values.begin(), values.end());
    return {values.front(), values[values.size() / 2], values.back()};
  }
};

std::vector<ClassFacts> by_class(const Inspection& all) {
  if (all.summary.answers == io::AnswerKind::numbers) return {};  // nothing to part them by
  std::vector<ClassFacts> classes(all.summary.classes.size());
  for (size_t i = 0; i < all.samples.size(); ++i)
    for (const int64_t label : all.samples[i].labels)
      classes.at(static_cast<size_t>(label)).add(all.facts[i]);
  return classes;
}

// Where a group of twins lies: within one part or across, under one label or several.
struct GroupKind {
  bool across = false, contrary = false;
};
GroupKind kind_of(const Inspection& all, const std::vector<int64_t>& group) {
  GroupKind kind;
  const Sample& first = all.samples[static_cast<size_t>(group[0])];
  for (const int64_t i : group) {
    const Sample& other = all.samples[static_cast<size_t>(i)];
    kind.across = kind.across || other.part != first.part;
    kind.contrary = kind.contrary || other.labels != first.labels || other.numbers != first.numbers;
  }
  return kind;
}

Json twins_json(const Inspection& all, const io::TwinGroups& groups) {
  Json list = Json::array();
  for (const auto& group : groups) {
    const GroupKind kind = kind_of(all, group);
    Json names = Json::array();
    for (const int64_t i : group) names.push_back(all.samples[static_cast<size_t>(i)].name);
    list.push_back(
        {{"across_parts", kind.across}, {"across_classes", kind.contrary}, {"images", names}});
  }
  return list;
}

// Images whose name's extension promises another format than their bytes are.
std::vector<std::string> misnamed(const Inspection& all) {
  std::vector<std::string> found;
  for (size_t i = 0; i < all.samples.size(); ++i)
    if (const std::string& format = all.facts[i].format;
        !format.empty() && !io::is_named_for(all.samples[i].name, format))
      found.push_back(str(all.samples[i].name, " is ", format));
  return found;
}

Json document_of(const Inspection& all) {
  Json j = Json::parse(all.summary.to_json());
  const auto classes = by_class(all);
  for (size_t c = 0; c < classes.size(); ++c) {
    Json& row = j["classes"][c];
    if (!all.summary.files.is_images()) {
      row["broken"] = classes[c].broken;
      continue;
    }
    row["grey"] = classes[c].grey;
    row["color"] = classes[c].color;
    row["broken"] = classes[c].broken;
    row["width"] = ClassFacts::range(classes[c].widths);  // smallest, middle, largest
    row["height"] = ClassFacts::range(classes[c].heights);
  }
  if (all.pictures > 0) j["pictures"] = all.pictures;
  j["broken"] = Json::array();
  for (const io::ImageFacts& facts : all.facts)
    if (!facts.fault.empty()) j["broken"].push_back(facts.fault);
  j["misnamed"] = misnamed(all);
  j["equal_twins"] = twins_json(all, all.equal);
  j["near_twins"] = all.are_compared ? twins_json(all, all.near) : Json();
  return j;
}

void append_list(std::string& out, const std::string& title,
                 const std::vector<std::string>& entries) {
  if (entries.empty()) return;
  out += str("\n", title, ": ", thousands(std::ssize(entries)), "\n");
  for (size_t i = 0; i < std::min(entries.size(), kShown); ++i)
    out += "  " + printable(entries[i]) + "\n";
  if (entries.size() > kShown)
    out += str("  ... ", thousands(std::ssize(entries) - static_cast<int64_t>(kShown)),
               " more in --json\n");
}

void append_twins(std::string& out, const std::string& title, const Inspection& all,
                  const io::TwinGroups& groups) {
  std::vector<std::string> lines;
  for (const auto& group : groups) {
    const GroupKind kind = kind_of(all, group);
    std::vector<std::string> names;
    for (const int64_t i : group) names.push_back(all.samples[static_cast<size_t>(i)].name);
    lines.push_back(str(io::short_list(names, 4), kind.across ? "  [across parts]" : "",
                        kind.contrary ? "  [under different labels]" : ""));
  }
  std::stable_partition(lines.begin(), lines.end(),
                        [](const std::string& line) { return line.ends_with("]"); });
  append_list(out, title, lines);
}

std::string range_text(std::vector<int64_t> values) {
  if (values.empty()) return "-";
  std::sort(values.begin(), values.end());
  return str(values.front(), " / ", values[values.size() / 2], " / ", values.back());
}

std::string text_of(const Inspection& all) {
  std::string out;
  for (const std::string& line : all.summary.lines()) out += printable(line) + "\n";
  if (all.pictures > 0) out += str(thousands(all.pictures), " pictures with boxes were written\n");
  const std::string& many = all.summary.files.many;
  const auto classes = all.summary.files.is_images() ? by_class(all) : std::vector<ClassFacts>();
  if (all.summary.files.is_images()) out += "\nsizes (smallest / middle / largest) and colors\n";
  for (size_t c = 0; c < std::min(classes.size(), kShown); ++c)
    out += str("  ", printable(all.summary.classes[c]), ": width ", range_text(classes[c].widths),
               ", height ", range_text(classes[c].heights), "; ", classes[c].color, " color, ",
               classes[c].grey, " grey\n");
  if (classes.size() > kShown) out += str("  ... of ", classes.size(), " classes, all in --json\n");
  std::vector<std::string> broken;
  for (const io::ImageFacts& facts : all.facts)
    if (!facts.fault.empty()) broken.push_back(facts.fault);
  append_list(out, str("broken ", many), broken);
  append_list(out, "images whose extension is of another format (read by what they hold)",
              misnamed(all));
  append_twins(out, str("groups of ", many, " that are the same file"), all, all.equal);
  append_twins(out, "groups of images that look alike", all, all.near);
  if (!all.are_compared)
    out += str("\nimages that look alike were not searched: ", thousands(std::ssize(all.facts)),
               " are more than ", thousands(io::kMostCompared), "\n");
  return out;
}

}  // namespace

void add_data(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "data", "What a data set holds: parts, classes, files passed over, broken images, twins");
  auto f = std::make_shared<DataFlags>();
  verb->add_option("PATH", f->path, "Images, as finetune takes them")->required();
  verb->add_option("--val", f->val, "Validation images elsewhere")->type_name("PATH");
  verb->add_option("--pictures", f->pictures,
                   "Of images with boxes: a folder for pictures with the boxes drawn, "
                   "training/NAME.png and so on, up to 500 a part")
      ->type_name("DIR");
  add_column_flags(*verb, f->columns);
  add_group_flags(*verb, f->columns, f->group_pattern);
  add_mask_flags(*verb, f->masks);
  add_pixel_flag(*verb);
  verb->add_option("--threads", f->threads, "Compute threads (0: one per core)")
      ->transform(whole_number(0, 1024))
      ->type_name("N");
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->footer("Example:\n  graft data photos\nNothing is changed, and nothing is trained.");
  verb->callback([&action, f] {
    action = [f] {
      ExecContext context(f->threads);
      const ScopedExecContext scope(context);
      const Inspection all = inspect_data(*f);
      if (f->json)
        result(document_of(all));
      else
        result(text_of(all));
      return 0;
    };
  });
}

}  // namespace graft::tools
