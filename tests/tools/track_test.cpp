// graft track: boxes of a file or of a model become tracks; formats, scores, pictures, and what is
// refused.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "graft/io/datasets/frame_boxes.h"
#include "graft/io/images/image.h"
#include "graft/tests/support/command.h"
#include "graft/tests/support/made_sequence.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft {
namespace {

class TrackCommand : public testing::Test {
 protected:
  void SetUp() override { write_made_sequence(made, folder / "made"); }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  CommandResult track(std::vector<std::string> more) {
    std::vector<std::string> line{"track"};
    line.insert(line.end(), more.begin(), more.end());
    return run_graft(line);
  }
  const MadeSequence made = made_sequence(3);
  TemporaryFolder folder;
};

TEST_F(TrackCommand, FollowsTheBoxesOfAFile) {
  const CommandResult result =
      track({"--detections", folder / "made/det.txt", "--truth", folder / "made/gt.txt", "--out",
             folder / "tracks.csv", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto j = nlohmann::json::parse(result.out);
  EXPECT_EQ(j["frames"], 60);
  EXPECT_EQ(j["objects"], 4);
  EXPECT_EQ(j["tracker"], "bytetrack");
  EXPECT_EQ(j["scores"]["switches"], 0);
  EXPECT_GT(j["scores"]["idf1"], 0.93);
  EXPECT_GT(j["scores"]["hota"], 0.8);
  const io::FrameBoxes tracks = io::read_frame_boxes(folder / "tracks.csv");
  EXPECT_EQ(tracks.format, io::FrameBoxFormat::csv);
  EXPECT_EQ(std::ssize(tracks.boxes), j["boxes"]);
  const CommandResult text =
      track({"--detections", folder / "made/det.txt", "--truth", folder / "made/gt.txt", "--out",
             folder / "tracks.txt", "--tracker", "sort"});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_TRUE(has(text.out, "60 frames: ")) << text.out;
  EXPECT_TRUE(has(text.out, "IDF1 0.")) << text.out;
  EXPECT_EQ(io::read_frame_boxes(folder / "tracks.txt").format, io::FrameBoxFormat::mot);
}

TEST_F(TrackCommand, EveryFormatHoldsTheSameTracks) {
  std::vector<io::FrameBoxes> all;
  for (const char* format : {"csv", "mot", "kitti"}) {
    const std::string out = folder / str("tracks.", format);
    const CommandResult result =
        track({"--detections", folder / "made/det.txt", "--out", out, "--format", format});
    ASSERT_EQ(result.code, 0) << result.err;
    all.push_back(io::read_frame_boxes(out));
  }
  ASSERT_EQ(all[0].boxes.size(), all[1].boxes.size());
  ASSERT_EQ(all[0].boxes.size(), all[2].boxes.size());
  for (size_t i = 0; i < all[0].boxes.size(); ++i)
    for (const size_t k : {1, 2}) {
      EXPECT_EQ(all[0].boxes[i].id, all[k].boxes[i].id);
      EXPECT_EQ(all[0].boxes[i].frame, all[k].boxes[i].frame);
      EXPECT_NEAR(all[0].boxes[i].box.right, all[k].boxes[i].box.right, 0.011);
    }
}

TEST_F(TrackCommand, PicturesAreInTheOrderOfTheFrames) {
  const CommandResult result =
      track({folder / "made/frames", "--detections", folder / "made/det.txt", "--out",
             folder / "tracks.csv", "--pictures", folder / "drawn"});
  ASSERT_EQ(result.code, 0) << result.err;
  const io::Image tenth = io::read_image(folder / "drawn/000010.png");
  EXPECT_EQ(tenth.width, made.width);
  EXPECT_EQ(tenth.channels, 3);
  EXPECT_TRUE(std::filesystem::exists(folder / "drawn/000060.png"));
  EXPECT_FALSE(std::filesystem::exists(folder / "drawn/000061.png"));
  // The second frame is frame_2.png, not frame_10.png.
  EXPECT_TRUE(has(read_text(folder / "tracks.csv"), "\n2,frame_2.png,")) << "natural order";
  // Colors are drawn, and the ground stays grey.
  int64_t colored = 0;
  const uint8_t* pixel = tenth.pixels.data<uint8_t>();
  for (int64_t i = 0; i < tenth.width * tenth.height; ++i, pixel += 3)
    colored += pixel[0] != pixel[1] || pixel[1] != pixel[2];
  EXPECT_GT(colored, 4 * 60);
  EXPECT_LT(colored, tenth.width * tenth.height / 4);
}

TEST_F(TrackCommand, AModelsBoxesAreFollowed) {
  std::string table = "image,class,xmin,ymin,xmax,ymax\n";
  for (const io::FrameBox& own : made.truth)
    if (own.frame % 3 == 0)
      table += str("frames/frame_", own.frame + 1, ".png,", own.kind, ",", own.box.left, ",",
                   own.box.top, ",", own.box.right, ",", own.box.bottom, "\n");
  write_text(folder / "made/boxes.csv", table);
  const CommandResult trained = run_graft(
      {"finetune", "--weights", carried_weights(), "--data", folder / "made/boxes.csv", "--epochs",
       "2", "--batch", "4", "--image-size", "120x160", "--threads", "2", "--out", folder / "run"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  const CommandResult result = track({folder / "run/model.safetensors", folder / "made/frames",
                                      "--out", folder / "tracks.csv", "--truth",
                                      folder / "made/gt.txt", "--confidence", "0.3", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto j = nlohmann::json::parse(result.out);
  EXPECT_EQ(j["frames"], 60);
  EXPECT_DOUBLE_EQ(j["confidence"], 0.3);
  EXPECT_TRUE(j["scores"].contains("hota"));
  // The same again, and a frame that cannot be read counts as one without objects.
  ASSERT_EQ(track({folder / "run/model.safetensors", folder / "made/frames", "--out",
                   folder / "again.csv", "--confidence", "0.3"})
                .code,
            0);
  EXPECT_EQ(read_text(folder / "again.csv"), read_text(folder / "tracks.csv"));
  write_text(folder / "made/frames/frame_7.png", "no image");
  const CommandResult broken = track({folder / "run/model.safetensors", folder / "made/frames",
                                      "--out", folder / "broken.csv", "--json"});
  EXPECT_EQ(broken.code, 3) << broken.err;
  EXPECT_TRUE(has(broken.err, "frame_7.png")) << broken.err;
  EXPECT_EQ(nlohmann::json::parse(broken.out)["unreadable_frames"], 1);
}

TEST_F(TrackCommand, WhatDoesNotFitIsRefusedInASentence) {
  const auto refused = [&](std::vector<std::string> line, int code, const std::string& words) {
    const CommandResult result = track(std::move(line));
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_TRUE(has(result.err, words)) << words << "\n" << result.err;
  };
  const std::string det = folder / "made/det.txt", out = folder / "t.csv";
  refused({"--out", out}, 2, "MODEL and FRAMES are needed, or --detections");
  refused({"m", folder / "made/frames", "--detections", det, "--out", out}, 2,
          "with --detections no MODEL is taken");
  refused({"--detections", det, "--out", folder / "t.xml"}, 2,
          "tracks are written as .csv or as .txt");
  refused({"--detections", det, "--out", out, "--tracker", "deepsort"}, 2, "--tracker");
  refused({"--detections", det, "--out", out, "--pictures", folder / "p"}, 2,
          "--pictures needs the folder of the frames");
  refused({carried_weights(), folder / "made/frames", "--out", out}, 3,
          "boxes are those of a model that finds objects");
  refused({carried_weights(), folder / "none", "--out", out}, 3, "not a folder of frames");
  write_text(folder / "empty.txt", "");
  refused({"--detections", folder / "empty.txt", "--out", out}, 3, "there are no boxes");
  write_text(folder / "late.txt", "61,-1,1,2,3,4,1\n");
  refused({folder / "made/frames", "--detections", folder / "late.txt", "--out", out}, 3,
          "boxes of frame 61 (counted from 1); there are 60 in");
  write_text(folder / "loud.txt", "1,-1,1,2,3,4,45.2\n");
  refused({"--detections", folder / "loud.txt", "--out", out}, 3,
          "ByteTrack needs scores between 0 and 1");
  write_text(folder / "bad.txt", "1,-1,1,2,3\n");
  refused({"--detections", det, "--truth", folder / "bad.txt", "--out", out}, 3,
          "bad.txt: line 1 has 5 fields");
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace graft
