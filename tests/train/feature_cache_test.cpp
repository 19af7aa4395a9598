// The feature cache: in memory, in its file, in both; damage, other runs' files and full disks; and
// runs of fit() that use it, which end in the bits of a run without.
#include "graft/train/feature_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "graft/core/base/error.h"
#include "graft/tests/support/faulty_file_system.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/frozen_features.h"

namespace graft::train {
namespace {

constexpr int64_t kRows = 10, kRowBytes = 24;

std::vector<std::byte> made_row(int64_t row) {
  std::vector<std::byte> bytes(kRowBytes);
  for (int64_t i = 0; i < kRowBytes; ++i)
    bytes[static_cast<size_t>(i)] = static_cast<std::byte>(row * 31 + i);
  return bytes;
}

void append_rows(FeatureCache& cache, int64_t end) {
  for (int64_t row = cache.computed(); row < end; ++row)
    EXPECT_TRUE(cache.append(made_row(row).data(), 1)) << row;
}

void expect_rows(FeatureCache& cache, int64_t end) {
  EXPECT_EQ(cache.computed(), end);
  std::vector<std::byte> row(kRowBytes);
  for (int64_t i = 0; i < end; ++i) {
    EXPECT_TRUE(cache.read(i, row.data())) << i;
    EXPECT_EQ(row, made_row(i)) << i;
  }
}

TEST(FeatureCache, KeepsRowsInMemoryAndBeyondItInTheFile) {
  const TemporaryFolder folder;
  for (const int64_t in_memory : {0, 1, 4, 10, 100}) {
    FeatureCache cache(
        kRows, kRowBytes,
        {.ram_bytes = in_memory * kRowBytes + 7, .path = folder / "f", .key = str("k", in_memory)});
    append_rows(cache, kRows);
    EXPECT_EQ(cache.in_memory(), std::min(in_memory, kRows));
    expect_rows(cache, kRows);
  }
}

TEST(FeatureCache, WithoutAFileItHoldsWhatMemoryHolds) {
  FeatureCache cache(kRows, kRowBytes, {.ram_bytes = 4 * kRowBytes});
  EXPECT_TRUE(cache.can_hold(4));
  EXPECT_FALSE(cache.can_hold(5));
  append_rows(cache, 4);
  EXPECT_FALSE(cache.append(made_row(4).data(), 1));
  expect_rows(cache, 4);
}

TEST(FeatureCache, GoesOnWithTheFileOfAKilledRun) {
  const TemporaryFolder folder;
  const FeatureCacheOptions options{.ram_bytes = 2 * kRowBytes, .path = folder / "f", .key = "k"};
  {
    FeatureCache cache(kRows, kRowBytes, options);
    append_rows(cache, 6);
  }
  const auto size = std::filesystem::file_size(folder / "f");
  const std::string whole = read_text_file(folder / "f", 1 << 20);
  const auto left = [&](const std::string& content) {  // rows that a run finds in such a file; it
                                                       // then completes them
    std::ofstream(folder / "f", std::ios::binary) << content;
    FeatureCache cache(kRows, kRowBytes, options);
    const int64_t found = cache.computed();
    expect_rows(cache, found);
    append_rows(cache, kRows);
    expect_rows(cache, kRows);
    return found;
  };
  EXPECT_EQ(left(whole), 6);
  const size_t record = kRowBytes + 4, header = size - 6 * record;
  for (size_t length = 0; length < size; length += 3)
    EXPECT_EQ(left(whole.substr(0, length)), length < header ? 0 : (length - header) / record)
        << length;
  for (size_t at = 0; at < size; at += 5) {  // one bit turned: the rows in front of it stay
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 16);
    EXPECT_EQ(left(damaged), at < header ? 0 : (at - header) / record) << at;
  }
  std::string swapped = whole;  // two whole rows in each other's place
  std::swap_ranges(swapped.begin() + static_cast<int64_t>(header),
                   swapped.begin() + static_cast<int64_t>(header + record),
                   swapped.begin() + static_cast<int64_t>(header + record));
  EXPECT_EQ(left(swapped), 0);
}

TEST(FeatureCache, ARowThatChangedSinceIsNotHandedOut) {
  const TemporaryFolder folder;
  std::vector<std::string> notes;
  FeatureCache cache(kRows, kRowBytes,
                     {.ram_bytes = 2 * kRowBytes,
                      .path = folder / "f",
                      .key = "k",
                      .on_note = [&](const std::string& note) { notes.push_back(note); }});
  append_rows(cache, kRows);
  const std::string whole = read_text_file(folder / "f", 1 << 20);
  const size_t record = kRowBytes + 4, header = whole.size() - kRows * record;
  std::vector<std::byte> row(kRowBytes);
  for (size_t at = header; at < whole.size(); ++at) {
    const auto damaged = static_cast<int64_t>((at - header) / record);
    std::fstream(folder / "f", std::ios::binary | std::ios::in | std::ios::out)
        .seekp(static_cast<std::streamoff>(at))
        .put(static_cast<char>(whole[at] ^ (1 << at % 8)));
    for (int64_t i = 0; i < kRows; ++i) {
      EXPECT_EQ(cache.read(i, row.data()), i < 2 || i != damaged) << i << " at " << at;
      if (i < 2 || i != damaged) {
        EXPECT_EQ(row, made_row(i)) << i;
      }
    }
    std::fstream(folder / "f", std::ios::binary | std::ios::in | std::ios::out)
        .seekp(static_cast<std::streamoff>(at))
        .put(whole[at]);
  }
  std::filesystem::resize_file(folder / "f", header + 5 * record + 7);
  for (int64_t i = 0; i < kRows; ++i) EXPECT_EQ(cache.read(i, row.data()), i < 5) << i;
  ASSERT_EQ(notes.size(), 1u);  // once
  EXPECT_NE(notes[0].find("row 2 is damaged"), std::string::npos) << notes[0];
}

TEST(FeatureCache, ADamagedRowOfTheRunBeforeIsSaid) {
  const TemporaryFolder folder;
  FeatureCacheOptions options{.path = folder / "f", .key = "k"};
  append_rows(*std::make_unique<FeatureCache>(kRows, kRowBytes, options), kRows);
  std::string damaged = read_text_file(folder / "f", 1 << 20);
  damaged[damaged.size() - 3 * (kRowBytes + 4)] ^= 4;
  std::ofstream(folder / "f", std::ios::binary) << damaged;
  std::string said;
  options.on_note = [&](const std::string& note) { said += note + "\n"; };
  FeatureCache cache(kRows, kRowBytes, options);
  expect_rows(cache, kRows - 3);
  EXPECT_NE(said.find("row 7 is damaged"), std::string::npos) << said;
}

TEST(FeatureCache, AFileOfAnotherRunIsBegunAnew) {
  const TemporaryFolder folder;
  const auto open = [&](int64_t rows, int64_t row_bytes, const std::string& key) {
    std::string said;
    FeatureCache cache(rows, row_bytes,
                       {.path = folder / "f", .key = key, .on_note = [&](const std::string& note) {
                          said = note;
                        }});
    const int64_t found = cache.computed();
    const std::vector<std::byte> row(static_cast<size_t>(row_bytes));
    EXPECT_TRUE(cache.append(row.data(), 1));
    EXPECT_EQ(said.empty(), found == 0 && !std::filesystem::exists(folder / "g")) << said;
    std::ofstream(folder / "g") << "the first is behind us";
    return found;
  };
  EXPECT_EQ(open(10, 24, "a"), 0);
  EXPECT_EQ(open(10, 24, "a"), 1);
  EXPECT_EQ(open(10, 24, "b"), 0);
  EXPECT_EQ(open(11, 24, "b"), 0);
  EXPECT_EQ(open(11, 20, "b"), 0);
}

TEST(FeatureCache, ADiskThatFailsIsDoneWithout) {
  bool fired = true;
  for (int fail_at = 0; fired; ++fail_at) {
    ASSERT_LT(fail_at, 100);
    const TemporaryFolder folder;
    FaultyFileSystem faulty(posix_file_system(), fail_at, true);
    const ScopedFileSystem scope(faulty);
    int notes = 0;
    FeatureCache cache(kRows, kRowBytes,
                       {.ram_bytes = 4 * kRowBytes,
                        .path = folder / "f",
                        .key = "k",
                        .on_note = [&](const std::string&) { ++notes; }});
    for (int64_t row = 0; row < kRows; ++row)
      if (!cache.append(made_row(row).data(), 1)) break;
    fired = faulty.fired();
    EXPECT_EQ(notes, fired ? 1 : 0);
    EXPECT_GE(cache.computed(), fired ? 4 : kRows) << fail_at;
    for (int64_t i = 0; i < cache.in_memory(); ++i) {
      std::vector<std::byte> row(kRowBytes);
      EXPECT_TRUE(cache.read(i, row.data()));
      EXPECT_EQ(row, made_row(i));
    }
  }
}

// ---- runs

Recipe viewed(const std::string& freeze, int64_t views, bool standardize) {
  Recipe recipe = small_recipe(freeze);
  recipe.epochs = 5;
  recipe.augment = "light";
  recipe.views = views;
  recipe.standardize = standardize;
  return recipe;
}

TEST(FrozenFeatures, ViewsInMemoryOrSpilledChangeNoBit) {
  for (const char* freeze : {"backbone", "stem,layer1"})
    for (const int64_t views : {1, 2, 4})
      for (const bool standardize : {false, true}) {
        const Recipe cached = viewed(freeze, views, standardize);
        Recipe uncached = cached;
        uncached.cache_features = false;
        const Outcome expected = run_small(uncached);
        EXPECT_EQ(expected.result.cached_stages, 0);
        for (const bool with_folder : {true, false})
          for (const int64_t ram : {int64_t{0}, int64_t{1000}, int64_t{1} << 30}) {
            const TemporaryFolder folder;
            FitOptions options;
            if (with_folder) options.folder = folder / "run";
            options.cache_ram = ram;
            const Outcome outcome = run_small(cached, options);
            EXPECT_GT(outcome.result.cached_stages, 0);
            EXPECT_EQ(outcome.metrics, expected.metrics)
                << freeze << " " << views << " " << ram << " " << with_folder;
            EXPECT_EQ(outcome.model, expected.model)
                << freeze << " " << views << " " << ram << " " << with_folder;
            EXPECT_FALSE(std::filesystem::exists(
                folder / "run/features.cache"));  // removed when the run ends
          }
      }
}

// Bits of the file turned, or its end lost, while the run goes on.
TEST(FrozenFeatures, DamageToTheFileDuringARunChangesNoBit) {
  for (const bool standardize : {false, true})
    for (const bool cut : {false, true}) {
      const Recipe recipe = viewed("backbone", 2, standardize);
      const Outcome undisturbed = run_small(recipe);
      const TemporaryFolder folder;
      FitOptions options;
      options.folder = folder / "run";
      options.cache_ram = 0;
      const std::string file = folder / "run/features.cache";
      int notes = 0;
      options.on_note = [&](const std::string& note) {
        notes += note.find("computed again") != std::string::npos;
      };
      options.on_epoch = [&](const EpochMetrics&) {
        if (cut) return std::filesystem::resize_file(file, 500);
        std::string bytes = read_text_file(file, 1 << 20);
        for (size_t at = 128; at < bytes.size(); at += 41) bytes[at] ^= 0x40;
        std::fstream(file, std::ios::binary | std::ios::in | std::ios::out) << bytes;
      };
      EXPECT_EQ(run_small(recipe, options), undisturbed) << standardize << cut;
      EXPECT_EQ(notes, 1);
    }
}

// How many images' features a run computed.
int64_t computed_in(const Recipe& recipe, FitOptions options, Outcome* outcome = nullptr,
                    int64_t stop_after = -1) {
  int64_t count = 0;
  int64_t before = 0;
  std::atomic<bool> stop{false};
  options.stop = &stop;
  options.on_progress = [&](const Progress& p) {
    if (std::string(p.phase) != "features") return void(before = 0);
    if (p.done <= before) before = 0;
    count += p.done - before;
    before = p.done;
    if (stop_after >= 0 && count >= stop_after) stop = true;
  };
  const Outcome result = run_small(recipe, options);
  if (outcome) *outcome = result;
  return count;
}

TEST(FrozenFeatures, AStoppedRunGoesOnWithWhatItHadComputed) {
  const Recipe recipe = viewed("backbone", 3, true);  // 3 x 25 training and 12 validation images
  const Outcome undisturbed = run_small(recipe);
  for (const int64_t stop_after : {1, 26, 30, 50, 87}) {
    const TemporaryFolder folder;
    FitOptions options;
    options.folder = folder / "run";
    options.checkpoint_seconds = 0;
    computed_in(recipe, options, nullptr, stop_after);
    ASSERT_TRUE(std::filesystem::exists(folder / "run/features.cache")) << stop_after;
    const auto kept =
        (static_cast<int64_t>(std::filesystem::file_size(folder / "run/features.cache")) - 128) /
        (6 * 4 + 4);
    EXPECT_GE(kept, stop_after);
    options.resume = std::filesystem::exists(folder / "run/last.ckpt.safetensors");
    Outcome outcome;
    computed_in(recipe, options, &outcome);
    EXPECT_EQ(outcome, undisturbed) << stop_after;
  }
}

TEST(FrozenFeatures, TheKeyKnowsWhatFeaturesDependOn) {
  const auto network = small_network(), other = small_network(1);
  const Recipe recipe = viewed("backbone", 3, true);
  const std::string key = feature_key(*network, 3, recipe);
  EXPECT_EQ(feature_key(*small_network(), 3, recipe), key);
  EXPECT_NE(feature_key(*other, 3, recipe), key);
  EXPECT_NE(feature_key(*network, 2, recipe), key);
  Recipe changed = recipe;
  changed.seed = 1;
  EXPECT_NE(feature_key(*network, 3, changed), key);
  changed = recipe;
  changed.augment = "strong";
  EXPECT_NE(feature_key(*network, 3, changed), key);
  changed = recipe;
  changed.lr = 7;  // of the head alone
  EXPECT_EQ(feature_key(*network, 3, changed), key);
  Tensor mean = network->state_dict().at("bn2.running_mean");
  mean.mutable_data<float>()[0] += 1;
  EXPECT_NE(feature_key(*network, 3, recipe), key);
}

}  // namespace
}  // namespace graft::train
