// graft track: the objects of a sequence of frames, followed from frame to frame.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "graft/api/tracking.h"
#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/datasets/frame_boxes.h"
#include "graft/io/datasets/image_files.h"
#include "graft/io/datasets/natural_order.h"
#include "graft/io/images/png_writer.h"
#include "graft/tools/device.h"
#include "graft/tools/flag_values.h"
#include "graft/tools/network.h"
#include "graft/tools/output.h"
#include "graft/tools/pixel_flag.h"
#include "graft/tools/progress.h"
#include "graft/tools/verbs.h"
#include "graft/train/tasks/detection/box_canvas.h"
#include "graft/train/tracking/track_scores.h"

namespace graft::tools {
namespace {

using Json = nlohmann::ordered_json;

struct TrackFlags {
  std::string model, frames, out, pictures, truth, detections, precision = "fp32";
  std::string tracker = "bytetrack", format;
  std::optional<double> confidence, overlap;
  std::optional<int64_t> lost;
  DeviceFlags device;
  bool json = false, strict = false;
};

struct Frame {
  std::string path, name;
};

// What is known of a sequence before objects are followed.
struct Sequence {
  std::vector<Frame> frames;       // none where boxes come from a file and no pictures are wished
  std::vector<std::string> kinds;  // names
  train::TrackerOptions options;
  int64_t broken = 0, not_finite = 0;
};

// What became of it.
struct Tracked {
  std::vector<io::FrameBox> boxes;
  std::vector<train::TrackedBox> here;  // of the last frame
  int64_t frames = 0;
};

std::vector<Frame> frames_of(const std::string& folder) {
  GRAFT_CHECK(file_system().is_directory(folder), folder, ": not a folder of frames");
  std::vector<io::ImageFile> found;
  io::PassedOver passed_over;
  io::find_images(folder, "", found, passed_over);
  if (!passed_over.empty()) say("note: passed over: ", passed_over.to_text());
  GRAFT_CHECK(!found.empty(), folder, ": there are no images");
  std::vector<Frame> frames;
  for (io::ImageFile& image : found)
    frames.push_back({std::move(image.path), std::move(image.short_name)});
  std::sort(frames.begin(), frames.end(),
            [](const Frame& a, const Frame& b) { return io::natural_less(a.name, b.name); });
  return frames;
}

io::FrameBoxFormat format_of(const TrackFlags& flags) {
  if (!flags.format.empty()) return io::frame_box_format_named(flags.format);
  const std::string extension = lower_extension(flags.out);
  if (extension == ".csv") return io::FrameBoxFormat::csv;
  if (extension == ".txt") return io::FrameBoxFormat::mot;
  fail(ErrorCode::usage, flags.out,
       ": tracks are written as .csv or as .txt (MOTChallenge's form), or as --format says");
}

// The user's words over those that the boxes' origin gave.
void apply_flags(const TrackFlags& flags, train::TrackerOptions& options) {
  if (flags.overlap) options.least_overlap = *flags.overlap;
  if (flags.lost) options.most_lost = *flags.lost;
}

// DIR/000001.png and so on: each frame with its objects, in a color and with a number each.
class TrackPictures {
 public:
  explicit TrackPictures(const std::string& folder) : folder_(folder) {
    if (!folder_.empty()) file_system().create_directories(folder_);
  }
  void write(const Frame& frame, int64_t number, const std::vector<train::TrackedBox>& boxes) {
    if (folder_.empty()) return;
    train::BoxCanvas canvas(io::read_image(frame.path));
    for (const train::TrackedBox& own : boxes) canvas.draw(own.box, train::identity_color(own.id));
    for (const train::TrackedBox& own : boxes)
      canvas.draw_number(own.box, own.id, train::identity_color(own.id));
    std::string name = std::to_string(number);
    if (name.size() < 6) name.insert(0, 6 - name.size(), '0');
    io::write_png(join_path(folder_, name + ".png"), canvas.take());
  }

 private:
  std::string folder_;
};

// Frame by frame.
class Follower {
 public:
  explicit Follower(const Sequence& sequence) : sequence_(sequence), tracker_(sequence.options) {}

  void add(std::span<const train::SeenBox> seen) {
    all_.here = tracker_.update(seen);
    for (const train::TrackedBox& own : all_.here)
      all_.boxes.push_back({.frame = all_.frames,
                            .id = own.id,
                            .box = own.box,
                            .score = own.score,
                            .kind = sequence_.kinds[static_cast<size_t>(own.kind)]});
    ++all_.frames;
  }
  Tracked& all() { return all_; }

 private:
  const Sequence& sequence_;
  train::Tracker tracker_;
  Tracked all_;
};

// A model's boxes; frames that cannot be read, and answers that are not finite, are frames without
// boxes.
Tracked follow_by_model(const TrackFlags& flags, Sequence& sequence) {
  sequence.frames = frames_of(flags.frames);
  models::Imported imported = load_with_head(flags.model, {});
  calibration_for(flags.precision, imported.model.card, flags.model);
  const Device device = open_named_device(flags.device, flags.precision);
  const Predictor predictor(std::move(imported), {.precision = flags.precision, .device = device});
  const train::TrackerKind kind = train::tracker_named(flags.tracker);
  sequence.options = tracker_options(predictor, kind);
  if (flags.confidence) sequence.options = tracker_options(*flags.confidence, kind);
  apply_flags(flags, sequence.options);
  sequence.kinds = kind_names(predictor);
  TrackPictures pictures(flags.pictures);
  Follower follower(sequence);
  ProgressBar bar;
  constexpr size_t kBatch = 16;
  const std::vector<Frame>& frames = sequence.frames;
  for (size_t begin = 0; begin < frames.size(); begin += kBatch) {
    std::vector<ImageSource> images;
    for (size_t i = begin; i < std::min(frames.size(), begin + kBatch); ++i)
      images.emplace_back(frames[i].path);
    const std::vector<Answer> found = predictor.predict(images);
    for (size_t i = 0; i < found.size(); ++i) {
      if (!found[i].error().empty()) {
        ++sequence.broken;
        say("graft: ", found[i].error());
        follower.add({});
        continue;
      }
      const bool is_finite = found[i].is_finite();
      sequence.not_finite += !is_finite;
      follower.add(is_finite ? seen_boxes(predictor, found[i]) : std::vector<train::SeenBox>{});
      pictures.write(frames[begin + i], follower.all().frames, follower.all().here);
    }
    bar.update("frames", static_cast<int64_t>(begin + images.size()), std::ssize(frames));
  }
  bar.clear();
  say_refusal(predictor.refusal(), flags.precision);
  return std::move(follower.all());
}

// The boxes of a file by frame, their kinds as numbers.
Tracked follow_by_file(const TrackFlags& flags, Sequence& sequence) {
  const io::FrameBoxes file = io::read_frame_boxes(flags.detections);
  GRAFT_CHECK(!file.boxes.empty(), flags.detections, ": there are no boxes");
  const train::TrackerKind kind = train::tracker_named(flags.tracker);
  sequence.options =
      flags.confidence ? tracker_options(*flags.confidence, kind) : train::TrackerOptions::of(kind);
  apply_flags(flags, sequence.options);
  int64_t frames = file.boxes.back().frame + 1;
  if (!flags.frames.empty()) {
    sequence.frames = frames_of(flags.frames);
    GRAFT_CHECK(frames <= std::ssize(sequence.frames), flags.detections, ": boxes of frame ",
                frames, " (counted from 1); there are ", sequence.frames.size(), " in ",
                flags.frames);
    frames = std::ssize(sequence.frames);
  }
  std::map<std::string, int64_t> place_of;
  for (const io::FrameBox& own : file.boxes) place_of[own.kind] = 0;
  for (auto& [name, place] : place_of) {
    place = std::ssize(sequence.kinds);
    sequence.kinds.push_back(name);
  }
  TrackPictures pictures(flags.pictures);
  Follower follower(sequence);
  ProgressBar bar;
  size_t next = 0;
  for (int64_t frame = 0; frame < frames; ++frame) {
    std::vector<train::SeenBox> seen;
    for (; next < file.boxes.size() && file.boxes[next].frame == frame; ++next)
      if (file.boxes[next].is_judged)
        seen.push_back(
            {file.boxes[next].box, file.boxes[next].score, place_of.at(file.boxes[next].kind)});
    follower.add(seen);
    if (!sequence.frames.empty())
      pictures.write(sequence.frames[static_cast<size_t>(frame)], frame + 1, follower.all().here);
    if (frame % 64 == 0) bar.update("frames", frame, frames);
  }
  bar.clear();
  return std::move(follower.all());
}

int64_t objects_of(const Tracked& tracked) {
  std::set<int64_t> ids;
  for (const io::FrameBox& own : tracked.boxes) ids.insert(own.id);
  return std::ssize(ids);
}

Json scores_json(const train::TrackScores& s) {
  Json j = {{"mota", s.clear.mota},
            {"motp", std::isfinite(s.clear.motp) ? Json(s.clear.motp) : Json(nullptr)},
            {"idf1", s.identity.idf1},
            {"id_precision", s.identity.precision},
            {"id_recall", s.identity.recall},
            {"hota", s.hota.hota},
            {"det_a", s.hota.det_a},
            {"ass_a", s.hota.ass_a},
            {"loc_a", s.hota.loc_a},
            {"matches", s.clear.matches},
            {"false_positives", s.clear.false_positives},
            {"misses", s.clear.misses},
            {"switches", s.clear.switches},
            {"fragmentations", s.clear.fragmentations},
            {"mostly_tracked", s.clear.mostly_tracked},
            {"partly_tracked", s.clear.partly_tracked},
            {"mostly_lost", s.clear.mostly_lost},
            {"true_boxes", s.boxes},
            {"true_objects", s.objects}};
  return j;
}

std::string scores_text(const train::TrackScores& s) {
  const auto whole = [](int64_t count) { return thousands(count); };
  return str(
      "\nHOTA ", fixed(s.hota.hota, 4), "  DetA ", fixed(s.hota.det_a, 4), "  AssA ",
      fixed(s.hota.ass_a, 4), "  LocA ", fixed(s.hota.loc_a, 4), "\nMOTA ", fixed(s.clear.mota, 4),
      "  MOTP ", std::isfinite(s.clear.motp) ? fixed(s.clear.motp, 4) : std::string("-"),
      " (mean 1 - overlap)\nIDF1 ", fixed(s.identity.idf1, 4), "  precision ",
      fixed(s.identity.precision, 4), "  recall ", fixed(s.identity.recall, 4), "\n",
      whole(s.boxes), " true boxes of ", whole(s.objects), " objects: ", whole(s.clear.misses),
      " missed, ", whole(s.clear.false_positives), " false positives, ", whole(s.clear.switches),
      " identity switches, ", whole(s.clear.fragmentations), " fragmentations\n",
      whole(s.clear.mostly_tracked), " objects mostly tracked, ", whole(s.clear.partly_tracked),
      " partly, ", whole(s.clear.mostly_lost), " mostly lost\n");
}

// The positionals as --detections has them: then no model is named.
void settle_words(TrackFlags& flags) {
  if (flags.detections.empty()) {
    if (flags.model.empty() || flags.frames.empty())
      fail(ErrorCode::usage,
           "MODEL and FRAMES are needed, or --detections (see graft track "
           "--help)");
  } else {
    if (!flags.frames.empty())
      fail(ErrorCode::usage,
           "with --detections no MODEL is taken: graft track --detections FILE "
           "[FRAMES]");
    flags.frames = std::move(flags.model);
    flags.model.clear();
  }
  if (!flags.pictures.empty() && flags.frames.empty())
    fail(ErrorCode::usage, "--pictures needs the folder of the frames");
}

int track(TrackFlags flags) {
  settle_words(flags);
  const io::FrameBoxFormat format = format_of(flags);
  check_writable(flags.out);
  std::optional<io::FrameBoxes> truth;
  if (!flags.truth.empty()) truth = io::read_frame_boxes(flags.truth);
  Sequence sequence;
  const Tracked tracked =
      flags.detections.empty() ? follow_by_model(flags, sequence) : follow_by_file(flags, sequence);
  std::vector<std::string> names;
  for (const Frame& frame : sequence.frames) names.push_back(frame.name);
  write_file_atomically(flags.out, io::frame_boxes_text(tracked.boxes, format, names));
  Json document = {{"frames", tracked.frames},
                   {"boxes", std::ssize(tracked.boxes)},
                   {"objects", objects_of(tracked)},
                   {"tracker", flags.tracker},
                   {"confidence", sequence.options.sure},
                   {"out", flags.out},
                   {"unreadable_frames", sequence.broken},
                   {"not_finite", sequence.not_finite}};
  std::string text =
      str(thousands(tracked.frames), " frames: ", thousands(std::ssize(tracked.boxes)),
          " boxes of ", thousands(objects_of(tracked)), " objects in ", printable(flags.out), "\n");
  if (truth) {
    const train::TrackScores scores = train::track_scores(truth->boxes, tracked.boxes);
    document["scores"] = scores_json(scores);
    text += scores_text(scores);
    if (!truth->boxes.empty() && truth->boxes.back().frame >= tracked.frames)
      say("note: ", flags.truth, " has boxes of frame ", truth->boxes.back().frame + 1,
          " (counted from 1); those behind frame ", tracked.frames, " count as missed");
  }
  if (flags.json)
    result(document);
  else
    result(text);
  const int code = say_not_finite(sequence.not_finite, tracked.frames, flags.strict);
  return sequence.broken > 0 ? static_cast<int>(ErrorCode::bad_input) : code;
}

void add_file_flags(CLI::App& verb, TrackFlags& f) {
  verb.add_option("MODEL", f.model, "A model of graft that finds objects");
  verb.add_option("FRAMES", f.frames,
                  "A folder of the frames, in the order of their names: frame_2 before frame_10");
  verb.add_option("--out", f.out, "The tracks")->required()->type_name("FILE");
  verb.add_option("--format", f.format,
                  "csv, mot (MOTChallenge's results) or kitti (default: by the extension, .csv or "
                  ".txt for mot)")
      ->check(CLI::IsMember({"csv", "mot", "kitti"}))
      ->type_name("NAME");
  verb.add_option("--detections", f.detections,
                  "Follow the boxes of this file (csv, MOTChallenge's or KITTI's form), no "
                  "model's: graft track --detections FILE [FRAMES]")
      ->type_name("FILE");
  verb.add_option("--truth", f.truth,
                  "Compare with these tracks (the same forms): HOTA, MOTA, IDF1 and counts")
      ->type_name("FILE");
  verb.add_option("--pictures", f.pictures,
                  "A folder for 000001.png and so on: each frame with its objects, a color and a "
                  "number each")
      ->type_name("DIR");
}

}  // namespace

void add_track(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand(
      "track", "Objects followed through a sequence of frames: which boxes are the same object");
  auto f = std::make_shared<TrackFlags>();
  add_file_flags(*verb, *f);
  verb->add_option("--tracker", f->tracker, "bytetrack or sort")
      ->check(CLI::IsMember({"sort", "bytetrack"}))
      ->type_name("NAME");
  verb->add_option("--confidence", f->confidence,
                   "The score from which on a box is sure (default: the model's; of a file 0.5 "
                   "for bytetrack, 0 for sort)")
      ->transform(real_number(0, 1))
      ->type_name("SHARE");
  verb->add_option("--overlap", f->overlap,
                   "The least overlap of an object's expected box and its next one (default: sort "
                   "0.3; bytetrack 0.2, times the score)")
      ->transform(real_number(0, 1))
      ->type_name("SHARE");
  verb->add_option("--lost", f->lost,
                   "Frames without a box after which an object is forgotten (default: sort 1, "
                   "bytetrack 30)")
      ->transform(whole_number(0, 1000000))
      ->type_name("N");
  verb->add_option("--precision", f->precision, kPrecisionHelp)
      ->check(CLI::IsMember({"fp32", "bf16", "fp16", "int8"}))
      ->type_name("P");
  add_device_flags(*verb, f->device);
  add_pixel_flag(*verb);
  verb->add_flag("--json", f->json, "One JSON document on stdout");
  verb->add_flag("--strict", f->strict, kStrictHelp);
  verb->footer(
      "Example:\n  graft track run/model.safetensors frames/ --out tracks.csv --pictures drawn\n"
      "A frame that cannot be read is named on stderr and counts as one without objects; the exit "
      "code is then 3.");
  verb->callback([&action, f] { action = [f] { return track(*f); }; });
}

}  // namespace graft::tools
