// Follows objects frame by frame. Usage: o_track FOLDER
// Makes 60 frames of two squares that cross, one of them hidden for six frames, follows the boxes
// that a detector would find, and writes frames/, boxes.csv (to train on), det.txt, gt.txt and
// tracks.txt into FOLDER.
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "graft/core/base/file_system.h"
#include "graft/graft.hpp"
#include "graft/io/images/png_writer.h"

namespace {

constexpr int64_t kFrames = 60, kWidth = 160, kHeight = 120;

// The squares of a frame, upper left corners first.
std::vector<graft::io::Box> squares_of(int64_t frame) {
  const auto t = static_cast<double>(frame);
  const double left = 6 + 2.2 * t, right = 134 - 2.1 * t;
  return {{left, 40, left + 20, 64}, {right, 46, right + 20, 68}};
}

bool is_hidden(int64_t frame, size_t square) { return square == 1 && frame >= 8 && frame < 14; }

graft::io::Image picture_of(int64_t frame) {
  std::vector<uint8_t> pixels(kWidth * kHeight, 20);
  const std::vector<graft::io::Box> squares = squares_of(frame);
  for (size_t i = 0; i < squares.size(); ++i)
    for (auto y = int64_t(squares[i].top); y < int64_t(squares[i].bottom); ++y)
      for (auto x = int64_t(squares[i].left); x < int64_t(squares[i].right); ++x)
        if (!is_hidden(frame, i)) pixels[size_t(y * kWidth + x)] = uint8_t(140 + 80 * i);
  return {kWidth, kHeight, 1, graft::Tensor::of<uint8_t>({kHeight, kWidth, 1}, pixels)};
}

}  // namespace

int main(int, char** argv) {
  const std::string folder = argv[1];
  std::filesystem::create_directories(folder + "/frames");
  std::vector<graft::io::FrameBox> truth, found, tracks;
  std::string table = "image,class,xmin,ymin,xmax,ymax\n";
  graft::train::Tracker tracker;  // ByteTrack
  for (int64_t frame = 0; frame < kFrames; ++frame) {
    const std::string name = "frames/frame_" + std::to_string(frame + 1) + ".png";
    graft::io::write_png(folder + "/" + name, picture_of(frame));
    std::vector<graft::train::SeenBox> seen;
    int64_t id = 0;
    for (const graft::io::Box& box : squares_of(frame)) {
      truth.push_back({.frame = frame, .id = ++id, .box = box});
      if (is_hidden(frame, size_t(id - 1))) continue;
      seen.push_back({box, 0.9});
      found.push_back({.frame = frame, .box = box, .score = 0.9});
      table += graft::str(name, ",square,", box.left, ",", box.top, ",", box.right, ",", box.bottom,
                          "\n");
    }
    for (const graft::train::TrackedBox& own : tracker.update(seen))
      tracks.push_back({.frame = frame, .id = own.id, .box = own.box, .score = own.score});
  }
  const auto write = [&](const char* name, const std::vector<graft::io::FrameBox>& boxes) {
    graft::write_file_atomically(
        folder + "/" + name, graft::io::frame_boxes_text(boxes, graft::io::FrameBoxFormat::mot));
  };
  write("gt.txt", truth);
  write("det.txt", found);
  write("tracks.txt", tracks);
  graft::write_file_atomically(folder + "/boxes.csv", table);
  const graft::train::TrackScores scores = graft::train::track_scores(truth, tracks);
  std::printf("%lld objects as %lld tracks, %lld switches, IDF1 %.4f, HOTA %.4f\n",
              static_cast<long long>(scores.objects), static_cast<long long>(scores.tracks),
              static_cast<long long>(scores.clear.switches), scores.identity.idf1,
              scores.hota.hota);
  return scores.tracks == scores.objects ? 0 : 1;
}
