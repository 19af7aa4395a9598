#include "graft/tests/support/made_sequence.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "graft/core/base/file_system.h"
#include "graft/io/images/png_writer.h"

namespace graft {
namespace {

struct MovingShape {
  double x, y, dx, dy, width, height;
  const char* kind;
  int64_t hidden_from, hidden_until, faint_from, faint_until;  // frames
};

constexpr MovingShape kShapes[] = {
    {6, 30, 2.2, 0.15, 18, 22, "square", 60, 60, 60, 60},
    {136, 40, -2.1, -0.1, 20, 20, "square", 60, 60, 60, 60},
    {20, 84, 1.6, -0.2, 16, 24, "square", 24, 30, 60, 60},
    {120, 90, -1.4, 0.1, 22, 18, "disc", 60, 60, 35, 45},
};

// 0 to 1, of the seed and a place.
double counted(uint64_t seed, uint64_t place) {
  uint64_t x = seed * 0x9e3779b97f4a7c15u + place * 0xbf58476d1ce4e5b9u + 0x94d049bb133111ebu;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return static_cast<double>((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}

io::Box moved(const MovingShape& shape, int64_t frame) {
  const auto t = static_cast<double>(frame);
  const double left = shape.x + shape.dx * t, top = shape.y + shape.dy * t;
  return {left, top, left + shape.width, top + shape.height};
}

}  // namespace

MadeSequence made_sequence(uint64_t seed) {
  MadeSequence made{60, 160, 120, {}, {}};
  uint64_t place = 0;
  for (int64_t frame = 0; frame < made.frames; ++frame)
    for (size_t i = 0; i < std::size(kShapes); ++i) {
      const MovingShape& shape = kShapes[i];
      io::FrameBox own{.frame = frame,
                       .id = static_cast<int64_t>(i) + 1,
                       .box = moved(shape, frame),
                       .kind = shape.kind};
      made.truth.push_back(own);
      for (double* edge : {&own.box.left, &own.box.top, &own.box.right, &own.box.bottom})
        *edge += 2 * counted(seed, place++) - 1;
      const bool is_faint = frame >= shape.faint_from && frame < shape.faint_until;
      own.score = (is_faint ? 0.2 : 0.7) + 0.25 * counted(seed, place++);
      own.id = -1;
      if (frame < shape.hidden_from || frame >= shape.hidden_until) made.seen.push_back(own);
    }
  return made;
}

io::Image made_frame(const MadeSequence& made, int64_t frame) {
  std::vector<uint8_t> pixels(static_cast<size_t>(made.width * made.height), 20);
  for (const io::FrameBox& own : made.truth) {
    const MovingShape& shape = kShapes[static_cast<size_t>(own.id - 1)];
    if (own.frame != frame || (frame >= shape.hidden_from && frame < shape.hidden_until)) continue;
    const double x = (own.box.left + own.box.right) / 2, y = (own.box.top + own.box.bottom) / 2;
    const auto light = static_cast<uint8_t>(140 + 30 * (own.id - 1));
    for (int64_t row = 0; row < made.height; ++row)
      for (int64_t column = 0; column < made.width; ++column) {
        const double u = (static_cast<double>(column) + 0.5 - x) / (own.box.width() / 2),
                     v = (static_cast<double>(row) + 0.5 - y) / (own.box.height() / 2);
        const bool is_in =
            own.kind == "disc" ? u * u + v * v <= 1 : std::abs(u) <= 1 && std::abs(v) <= 1;
        if (is_in) pixels[static_cast<size_t>(row * made.width + column)] = light;
      }
  }
  return {made.width, made.height, 1, Tensor::of<uint8_t>({made.height, made.width, 1}, pixels)};
}

void write_made_sequence(const MadeSequence& made, const std::string& folder) {
  std::filesystem::create_directories(folder + "/frames");
  for (int64_t frame = 0; frame < made.frames; ++frame)
    io::write_png(str(folder, "/frames/frame_", frame + 1, ".png"), made_frame(made, frame));
  write_file_atomically(folder + "/gt.txt",
                        io::frame_boxes_text(made.truth, io::FrameBoxFormat::mot));
  write_file_atomically(folder + "/det.txt",
                        io::frame_boxes_text(made.seen, io::FrameBoxFormat::mot));
}

}  // namespace graft
