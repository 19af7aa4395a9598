// Groups of samples that belong together: no split parts them, and what parts them already is said.
#include "graft/io/datasets/groups.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "graft/core/base/error.h"
#include "graft/io/datasets/summary.h"
#include "graft/tests/support/temporary_folder.h"

namespace graft::io {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

class Groups : public testing::Test {
 protected:
  // Patients p00 .. with 1 to 4 images each; sick where the patient's number is divisible by 3.
  void make(const std::string& folder, int first, int patients) {
    for (int p = first; p < first + patients; ++p)
      for (int i = 0; i < 1 + p % 4; ++i) {
        const std::string of = str(folder, "/", p % 3 == 0 ? "sick" : "well");
        fs::create_directories(folder_ / of);
        const std::string name = str(of, "/p", p / 10, p % 10, "_", i, ".pgm");
        std::ofstream(folder_ / name, std::ios::binary) << str("P5 1 1 255 ", char('0' + p % 60));
        table_ += str(name, ",", p % 3 == 0 ? "sick" : "well", ",p", p / 10, p % 10, "\n");
      }
  }
  static std::set<std::string> of(const std::shared_ptr<const Dataset>& part) {
    const Names names = group_names(*part);
    return {names.begin(), names.end()};
  }
  static void expect_apart(const OpenedData& data) {
    const std::set<std::string> train = of(data.train), val = of(data.val);
    EXPECT_FALSE(train.empty());
    EXPECT_FALSE(val.empty());
    for (const std::string& group : val) EXPECT_FALSE(train.contains(group)) << group;
  }
  std::string refusal(const std::string& path, const DataOptions& options, ErrorCode code) {
    try {
      open_data(path, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    return "";
  }
  static bool any_has(const Names& sentences, const std::string& part) {
    for (const std::string& sentence : sentences)
      if (sentence.find(part) != std::string::npos) return true;
    return false;
  }
  TemporaryFolder folder_;
  std::string table_ = "path,label,patient\n";
};

TEST_F(Groups, ASplitHoldsWholeGroupsOut) {
  make("all", 0, 30);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const OpenedData data =
        open_data(folder_ / "all", {.seed = seed, .group_pattern = "/(p[0-9]+)_"});
    expect_apart(data);
    EXPECT_EQ(of(data.train).size() + of(data.val).size(), 30u);
    const auto all = static_cast<double>(data.train->size() + data.val->size());
    EXPECT_NEAR(static_cast<double>(data.val->size()) / all, 0.2, 0.06) << "seed " << seed;
    int64_t sick = 0;
    for (int64_t i = 0; i < data.val->size(); ++i) sick += data.val->label(i) == 0;
    EXPECT_GT(sick, 0);
    EXPECT_LT(sick, data.val->size());
    EXPECT_TRUE(any_has(data.notes, "whole groups of 30 drawn by class with seed"));
  }
}

TEST_F(Groups, FoldsHoldEachGroupOutOnce) {
  make("all", 0, 13);
  std::ofstream(folder_ / "t.csv") << table_;
  for (const bool each : {false, true}) {
    std::multiset<std::string> held;
    const int64_t folds = each ? 13 : 4;
    for (int64_t fold = 1; fold <= folds; ++fold) {
      const OpenedData data = open_data(
          folder_ / "t.csv",
          {.columns = {.group = "patient"}, .folds = folds, .fold = fold, .fold_is_group = each});
      expect_apart(data);
      for (const std::string& group : of(data.val)) held.insert(group);
      if (each) {
        EXPECT_EQ(of(data.val).size(), 1u);
        EXPECT_TRUE(any_has(data.notes, ", group p"));
      }
    }
    EXPECT_EQ(held.size(), 13u);
    EXPECT_EQ(std::set<std::string>(held.begin(), held.end()).size(), 13u);
  }
}

TEST_F(Groups, AClassThatLeavesWithItsGroupIsDoubted) {
  make("all", 0, 4);  // p00 and p03 are sick
  Names held;
  for (int64_t fold = 1; fold <= 4; ++fold) {
    const OpenedData data =
        open_data(folder_ / "all",
                  {.folds = 4, .fold = fold, .group_pattern = "(p[0-9]+)_", .fold_is_group = true});
    held.push_back(data.val->group(0));
    EXPECT_TRUE(any_has(data.doubts, "no image is held out of")) << fold;
  }
  EXPECT_EQ(held, (Names{"p00", "p01", "p02", "p03"}));
}

TEST_F(Groups, ThoseInSeveralPartsAreSaid) {
  make("d/train", 0, 8);
  make("d/val", 7, 3);  // p07 is in both
  const OpenedData data = open_data(folder_ / "d", {.group_pattern = "(p[0-9]+)_"});
  const DataSummary summary = summarize("d", data, {});
  EXPECT_EQ(summary.groups_across, Names{"p07"});
  EXPECT_TRUE(any_has(summary.doubts, "1 group has images in more than one part"));
  EXPECT_TRUE(any_has(summary.lines(), "groups: 8 training and 3 validation"));
  const auto json = nlohmann::json::parse(summary.to_json());
  EXPECT_EQ(json["groups"]["training"], 8);
  EXPECT_EQ(json["groups"]["across_parts"], nlohmann::json({"p07"}));
  EXPECT_FALSE(nlohmann::json::parse(summarize("d", open_data(folder_ / "d"), {}).to_json())
                   .contains("groups"));
}

TEST_F(Groups, ARefusalSaysWhy) {
  make("all", 0, 6);
  std::ofstream(folder_ / "t.csv") << table_;
  std::ofstream(folder_ / "hole.csv") << table_ << "all/sick/p00_0.pgm,sick,\n";
  std::ofstream(folder_ / "two.csv") << table_ << "all/sick/p00_0.pgm,sick,p09\n";
  const auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  const std::string all = folder_ / "all", t = folder_ / "t.csv";
  EXPECT_TRUE(has(refusal(all, {.group_pattern = "p[0-9]+"}, ErrorCode::usage), "no parentheses"));
  EXPECT_TRUE(has(refusal(all, {.group_pattern = "(p"}, ErrorCode::usage), "is no regular"));
  EXPECT_TRUE(has(refusal(all, {.group_pattern = "(q[0-9]+)"}, ErrorCode::bad_input),
                  "its group is not known"));
  EXPECT_TRUE(has(refusal(all, {.columns = {.group = "patient"}}, ErrorCode::bad_input),
                  "--group-column is of a table"));
  EXPECT_TRUE(has(refusal(t, {.columns = {.group = "nobody"}}, ErrorCode::bad_input),
                  "there is no column 'nobody' for --group-column"));
  EXPECT_TRUE(
      has(refusal(t, {.columns = {.group = "patient"}, .group_pattern = "(p)"}, ErrorCode::usage),
          "exclude each other"));
  EXPECT_TRUE(has(refusal(t, {.columns = {.group = "patient"}, .folds = 7}, ErrorCode::bad_input),
                  "6 groups are too few for 7 parts"));
  EXPECT_TRUE(
      has(refusal(folder_ / "hole.csv", {.columns = {.group = "patient"}}, ErrorCode::bad_input),
          "there is no group in patient"));
  EXPECT_TRUE(
      has(refusal(folder_ / "two.csv", {.columns = {.group = "patient"}}, ErrorCode::bad_input),
          "stands in two groups (p00, p09)"));
}

// Parts of 1/3 each from groups of one stratum: the greedy rule, by hand.
TEST(DealtGroups, FollowTheShares) {
  EXPECT_EQ(deal_groups({{6}, {3}, {3}, {2}, {2}, {2}}, {1 / 3., 1 / 3., 1 / 3.}),
            (std::vector<size_t>{0, 1, 2, 1, 2, 1}));
  // Two equal groups and a small share: neither part is left empty.
  EXPECT_EQ(deal_groups({{5}, {5}}, {0.2, 0.8}), (std::vector<size_t>{0, 1}));
  EXPECT_THROW(deal_groups({{5}}, {0.5, 0.5}), Error);
}

}  // namespace
}  // namespace graft::io
