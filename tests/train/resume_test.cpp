// Checkpoints, resuming to the same bits, and faults of the disk at every call.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "graft/core/base/file_system.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/io/weights/weights.h"
#include "graft/tests/support/faulty_file_system.h"
#include "graft/tests/support/temporary_folder.h"
#include "graft/tests/train/fit_case.h"
#include "graft/train/checkpoint.h"

namespace graft::train {
namespace {

namespace fs = std::filesystem;

// ---- the checkpoint file

const Classification kThree(3);

Checkpoint some_checkpoint() {
  Checkpoint c;
  c.model.add("a.weight", Tensor::of<float>({2}, {1, -2}));
  c.model.add("a.num_batches_tracked", Tensor::of<int64_t>(Shape{}, {int64_t{1} << 60}));
  c.best.add("a.weight", Tensor::of<float>({2}, {3, 4}));
  c.optimizer.add("a.weight/mean", Tensor::of<double>({2}, {0.1, 1e-300}));
  c.optimizer.add("step", Tensor::of<int64_t>(Shape{}, {7}));
  c.recipe = small_recipe().to_json();
  c.identity = "weights \"x\" and data\n\xc3\xa9";
  c.instruction_set = "avx2";
  c.epoch = 3;
  c.best_epoch = 2;
  c.best_score = 2.0 / 3;
  c.highest = {2, 2.0 / 3, 0.6, {{1, 0, 1}, {0.5f, 0.75f, 0.8f}}};
  c.lowest = {1, 0.25, 0.7, {{1, 0, 0}, {0.5f, 0.75f, 0.7f}}};
  const auto scores = [](double accuracy, double loss, double f1) {
    return std::vector<Score>{{"accuracy", accuracy}, {"loss", loss}, {"macro_f1", f1}};
  };
  c.history = {{1, 0.5, {"accuracy", 1.0 / 3}, scores(0.25, 0.7, 0.2), 1e-3, 12.5, 3.25},
               {2, 0.25, {"accuracy", 0.75}, scores(2.0 / 3, 0.6, 0.65), 1e-4, 13, 3},
               {3, 0.125, {"accuracy", 0.75}, scores(0.5, 0.8, 0.5), 0, 13, 3}};
  return c;
}

void expect_same(const StateDict& a, const StateDict& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    EXPECT_EQ(b.at(name).dtype(), tensor.dtype()) << name;
    EXPECT_EQ(b.at(name).shape(), tensor.shape()) << name;
    EXPECT_EQ(b.at(name).to_doubles(), tensor.to_doubles()) << name;
  }
}

TEST(Checkpoints, RoundTrip) {
  const TemporaryFolder folder;
  const Checkpoint before = some_checkpoint();
  save_checkpoint(folder / "c", before, kThree);
  const Checkpoint after = load_checkpoint(folder / "c", kThree);
  expect_same(before.model, after.model);
  expect_same(before.best, after.best);
  expect_same(before.optimizer, after.optimizer);
  EXPECT_EQ(after.recipe, before.recipe);
  EXPECT_EQ(after.identity, before.identity);
  EXPECT_EQ(after.instruction_set, before.instruction_set);
  EXPECT_EQ(after.epoch, 3);
  EXPECT_EQ(after.best_epoch, 2);
  EXPECT_EQ(after.best_score, 2.0 / 3);
  const auto expect_worth = [](const EpochWorth& a, const EpochWorth& b) {
    EXPECT_EQ(a.epoch, b.epoch);
    EXPECT_EQ(a.score, b.score);
    EXPECT_EQ(a.loss, b.loss);
    EXPECT_EQ(a.samples.scores, b.samples.scores);
    EXPECT_EQ(a.samples.losses, b.samples.losses);
  };
  expect_worth(after.highest, before.highest);
  expect_worth(after.lowest, before.lowest);
  ASSERT_EQ(after.history.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(after.history[i].to_json(), before.history[i].to_json());
  save_checkpoint(folder / "d", after, kThree);
  EXPECT_EQ(sha256_of_file(folder / "c"), sha256_of_file(folder / "d"));

  const RunRecord record = load_run_record(folder / "c");  // without knowing the task
  EXPECT_EQ(record.recipe, before.recipe);
  EXPECT_EQ(record.identity, before.identity);
  EXPECT_EQ(record.epoch, 3);
  EXPECT_EQ(record.best_epoch, 2);
  ASSERT_EQ(record.history.size(), 3u);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(record.history[i].to_json(), before.history[i].to_json());
}

std::string complaint(const std::string& path) {
  try {
    load_checkpoint(path, kThree);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(Checkpoints, DamageIsAnError) {
  const TemporaryFolder folder;
  save_checkpoint(folder / "c", some_checkpoint(), kThree);
  const std::string whole = read_text_file(folder / "c", 1 << 20);
  const auto with = [&](const std::string& content) {
    std::ofstream(folder / "d", std::ios::binary) << content;
    return complaint(folder / "d");
  };
  for (size_t length = 0; length < whole.size(); length += 5)
    EXPECT_NE(with(whole.substr(0, length)), "no error") << length;
  io::write_safetensors(folder / "e", some_checkpoint().model, {{"format", "pt"}});
  EXPECT_NE(complaint(folder / "e").find("not a checkpoint of graft"), std::string::npos);
  for (const char* description :
       {"", "{", "[]", "7", "{\"version\":1}", "{\"version\":2}", "{\"version\":\"1\"}"}) {
    io::write_safetensors(folder / "e", some_checkpoint().model,
                          {{"graft.checkpoint", description}});
    EXPECT_NE(complaint(folder / "e"), "no error") << description;
  }
}

// Fields that no run writes, under checksums that hold.
TEST(Checkpoints, EveryFieldHasARange) {
  const TemporaryFolder folder;
  save_checkpoint(folder / "c", some_checkpoint(), kThree);
  const io::WeightFile file = io::read_weights(folder / "c");
  const std::string whole = file.metadata.at("graft.checkpoint");
  const auto with = [&](const std::string& field, const std::string& value, size_t from = 0) {
    const size_t at = whole.find("\"" + field + "\":", from), begin = at + field.size() + 3,
                 end = whole.find_first_of(",}", begin);
    EXPECT_NE(at, std::string::npos) << field;
    io::write_safetensors(
        folder / "d", file.tensors,
        {{"graft.checkpoint", std::string(whole).replace(begin, end - begin, value)}});
    return complaint(folder / "d");
  };
  const std::vector<std::string> wrong = {
      "-1", "-4611686018427387904", "9223372036854775807", "1e300", "null", "\"1\"", "1.5", "1e999",
      "NaN"};
  const size_t own_epoch = whole.find("\"epoch\"");  // "best_epoch" and then it: keys are sorted
  for (const std::string& value : wrong) {
    EXPECT_NE(with("epoch", value, own_epoch), "no error");
    EXPECT_NE(with("best_epoch", value), "no error") << value;
    if (value != "-1") {
      EXPECT_NE(with("best_accuracy", value), "no error") << value;
    }
    for (const char* field : {"train_accuracy", "val_accuracy"})
      EXPECT_NE(with(field, value), "no error") << field << value;
    if (value == "1.5" || value == "9223372036854775807" || value == "1e300") continue;
    for (const char* field : {"lr", "images_per_s", "seconds"})
      EXPECT_NE(with(field, value), "no error") << field << value;
  }
  EXPECT_NE(with("best_epoch", "0"), "no error");
  EXPECT_NE(with("best_epoch", "4"), "no error");
  EXPECT_NE(with("loss", "1e999"), "no error");
  EXPECT_NE(with("version", "0"), "no error");
  EXPECT_EQ(with("version", "1"), "no error");
  EXPECT_NE(with("best_epoch", "4").find("'best_epoch' is 4, which is not between 1 and 3"),
            std::string::npos);
  Checkpoint counted = some_checkpoint();
  counted.model.set("a.num_batches_tracked", Tensor::of<int64_t>(Shape{}, {-1}));
  save_checkpoint(folder / "d", counted, kThree);
  EXPECT_NE(complaint(folder / "d").find("counts -1"), std::string::npos);
  Checkpoint longer = some_checkpoint();
  longer.epoch = 4;
  save_checkpoint(folder / "d", longer, kThree);
  EXPECT_NE(complaint(folder / "d").find("its history has 3"), std::string::npos);
}

TEST(Checkpoints, AnythingBehindTheDescriptionIsRefused) {
  const TemporaryFolder folder;
  save_checkpoint(folder / "c", some_checkpoint(), kThree);
  const io::WeightFile file = io::read_weights(folder / "c");
  const std::string whole = file.metadata.at("graft.checkpoint");
  const std::string zero(1, '\0');
  for (const std::string& behind :
       {zero, zero + "{\"epoch\":9}", std::string("{}"), std::string("x"), " " + zero}) {
    io::write_safetensors(folder / "d", file.tensors, {{"graft.checkpoint", whole + behind}});
    EXPECT_NE(complaint(folder / "d"), "no error");
  }
}

// Any byte changed, in data, header or padding: refused, or the same checkpoint to the bit.
TEST(Checkpoints, NoChangedByteIsTaken) {
  const TemporaryFolder folder;
  save_checkpoint(folder / "c", some_checkpoint(), kThree);
  const std::string whole = read_text_file(folder / "c", 1 << 20);
  int harmless = 0;
  for (size_t at = 0; at < whole.size(); ++at)
    for (const int change : {1 << at % 8, 0x20, 0xff, whole[at] ^ '0'}) {
      if (change == 0) continue;
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      std::ofstream(folder / "d", std::ios::binary) << damaged;
      try {
        save_checkpoint(folder / "e", load_checkpoint(folder / "d", kThree), kThree);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
        continue;
      }
      EXPECT_EQ(read_text_file(folder / "e", 1 << 20), whole) << "byte " << at << " ^ " << change;
      ++harmless;
    }
  EXPECT_LT(harmless, 30);  // spaces behind the header, digits of checksums in capitals
}

TEST(Checkpoints, ADamagedTensorIsNamedAndWhatToDo) {
  const TemporaryFolder folder;
  save_checkpoint(folder / "c", some_checkpoint(), kThree);
  std::string damaged = read_text_file(folder / "c", 1 << 20);
  const float value = 4;  // of best/a.weight
  damaged[damaged.rfind(std::string(reinterpret_cast<const char*>(&value), 4)) + 1] ^= 1;
  std::ofstream(folder / "c", std::ios::binary) << damaged;
  const std::string said = complaint(folder / "c");
  EXPECT_NE(said.find("tensor 'best/a.weight': its checksum is wrong"), std::string::npos) << said;
  EXPECT_NE(said.find("--overwrite"), std::string::npos) << said;
}

// What an older graft wrote: no checksums.
TEST(Checkpoints, WithoutCheckSumsAreReadWithANote) {
  const TemporaryFolder folder;
  save_checkpoint(folder / "c", some_checkpoint(), kThree);
  EXPECT_TRUE(load_checkpoint(folder / "c", kThree).notes.empty());
  std::string old = read_text_file(folder / "c", 1 << 20);
  for (const char* key : {"graft.crc32c", "graft.metadata_crc32c"}) {
    const size_t at = old.find(key);
    ASSERT_NE(at, std::string::npos);
    old[at] = 'x';
  }
  std::ofstream(folder / "d", std::ios::binary) << old;
  const Checkpoint after = load_checkpoint(folder / "d", kThree);
  EXPECT_EQ(after.epoch, 3);
  ASSERT_EQ(after.notes.size(), 1u);
  EXPECT_NE(after.notes[0].find("no checksums"), std::string::npos) << after.notes[0];
}

// ---- resuming

struct RunFolder {
  FitOptions options(bool resume = false) {
    FitOptions o;
    o.folder = folder / "run";
    o.resume = resume;
    o.identity = "test";
    o.checkpoint_seconds = 0;
    return o;
  }
  std::string checkpoint() const { return folder / "run/last.ckpt.safetensors"; }
  TemporaryFolder folder;
};

std::vector<Recipe> recipes() {
  Recipe plain = small_recipe();  // momentum, augmentation, learning statistics
  Recipe head = small_recipe("backbone");
  Recipe adapted = small_recipe("stem,layer1");
  adapted.batch_norm = "adapt";
  adapted.optimizer.name = "adamw";
  adapted.schedule = "onecycle";
  Recipe uncached = head;
  uncached.cache_features = false;
  Recipe half = adapted;
  half.precision = "bf16";
  return {plain, head, adapted, uncached, half};
}

TEST(Resume, AfterEveryEpochGivesTheUndisturbedRun) {
  for (const Recipe& recipe : recipes()) {
    const Outcome undisturbed = run_small(recipe);
    for (int64_t last = 1; last <= recipe.epochs; ++last) {
      RunFolder run;
      std::atomic<bool> stop{false};
      FitOptions options = run.options();
      options.stop = &stop;
      options.on_epoch = [&](const EpochMetrics& metrics) { stop = metrics.epoch == last; };
      const Outcome first = run_small(recipe, options);
      EXPECT_EQ(first.result.interrupted, last < recipe.epochs);
      EXPECT_EQ(load_checkpoint(run.checkpoint(), kThree).epoch, last);
      const Outcome second = run_small(recipe, run.options(true));
      EXPECT_EQ(second.metrics, undisturbed.metrics) << recipe.to_json() << " after " << last;
      EXPECT_EQ(second.model, undisturbed.model) << recipe.to_json() << " after " << last;
      std::string lines;
      for (const EpochMetrics& metrics : second.result.history) lines += metrics.to_json() + "\n";
      EXPECT_EQ(read_text_file(run.folder / "run/metrics.jsonl", 1 << 20), lines);
    }
  }
}

TEST(Resume, AfterAStopAtEveryStepGivesTheUndisturbedRun) {
  for (const Recipe& recipe : {small_recipe(), small_recipe("backbone")}) {
    const Outcome undisturbed = run_small(recipe);
    for (int stop_at = 0;; stop_at += 3) {
      RunFolder run;
      std::atomic<bool> stop{false};
      int calls = 0;
      FitOptions options = run.options();
      options.stop = &stop;
      options.on_progress = [&](const Progress&) { stop = calls++ == stop_at || stop; };
      const Outcome first = run_small(recipe, options);
      const bool has_checkpoint = fs::exists(run.checkpoint());
      if (first.result.interrupted && !has_checkpoint) continue;  // while features were computed
      const Outcome second = run_small(recipe, run.options(true));
      EXPECT_EQ(second.metrics, undisturbed.metrics) << stop_at;
      EXPECT_EQ(second.model, undisturbed.model) << stop_at;
      if (!first.result.interrupted) break;
    }
  }
}

TEST(Resume, OnOtherThreadsToo) {
  const Recipe recipe = small_recipe();
  const Outcome undisturbed = run_small(recipe);
  RunFolder run;
  std::atomic<bool> stop{false};
  FitOptions options = run.options();
  options.stop = &stop;
  options.workers = 2;
  options.on_epoch = [&](const EpochMetrics&) { stop = true; };
  {
    ExecContext context(4);
    const ScopedExecContext scope(context);
    run_small(recipe, options);
  }
  ExecContext context(1);
  const ScopedExecContext scope(context);
  EXPECT_EQ(run_small(recipe, run.options(true)), undisturbed);
}

TEST(Resume, TheModelFileIsTheSame) {
  const Recipe recipe = small_recipe();
  const auto run_with_model = [&](const FitOptions& base, const std::string& path) {
    const auto network = small_network();
    FitOptions options = base;
    options.save_best = [&](int64_t, const Metric&) {
      io::write_safetensors(path, network->state_dict(), {});
    };
    fit(*network, small_data(), pattern_preprocess(8), recipe, options);
  };
  RunFolder whole, parts;
  run_with_model(whole.options(), whole.folder / "model");
  std::atomic<bool> stop{false};
  for (int64_t epoch = 1; epoch <= recipe.epochs; ++epoch) {
    FitOptions options = parts.options(epoch > 1);
    stop = false;
    options.stop = &stop;
    options.on_epoch = [&](const EpochMetrics&) { stop = true; };
    run_with_model(options, parts.folder / "model");
  }
  EXPECT_EQ(sha256_of_file(whole.folder / "model"), sha256_of_file(parts.folder / "model"));
}

TEST(Resume, OfAnotherRunIsRefused) {
  RunFolder run;
  const auto complaint_of = [&](const Recipe& recipe, const FitOptions& options) -> std::string {
    try {
      run_small(recipe, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return error.what();
    }
    return "no error";
  };
  EXPECT_NE(complaint_of(small_recipe(), run.options(true)).find("no checkpoint to resume from"),
            std::string::npos);
  run_small(small_recipe(), run.options());
  Recipe other = small_recipe();
  other.seed = 5;
  EXPECT_NE(complaint_of(other, run.options(true)).find("another recipe"), std::string::npos);
  FitOptions options = run.options(true);
  options.identity = "other";
  EXPECT_NE(complaint_of(small_recipe(), options).find("other weights or data"), std::string::npos);
  EXPECT_EQ(complaint_of(small_recipe(), run.options(true)), "no error");
  Checkpoint stepped = load_checkpoint(run.checkpoint(), kThree);
  for (const int64_t steps : {int64_t{-1}, INT64_MIN, int64_t{1} << 62}) {
    stepped.optimizer.set("step", Tensor::of<int64_t>(Shape{}, {steps}));
    save_checkpoint(run.checkpoint(), stepped, kThree);
    EXPECT_NE(complaint_of(small_recipe(), run.options(true)).find(" steps"), std::string::npos);
  }
  fs::resize_file(run.checkpoint(), fs::file_size(run.checkpoint()) - 1);
  EXPECT_NE(complaint_of(small_recipe(), run.options(true)).find("last.ckpt.safetensors"),
            std::string::npos);
}

// ---- faults of the disk

// Runs with call number `fail_at` failing; true when the fault was met.
bool run_with_fault(const Recipe& recipe, RunFolder& run, int fail_at, bool persistent,
                    const Outcome& undisturbed) {
  FaultyFileSystem faulty(posix_file_system(), fail_at, persistent);
  const ScopedFileSystem scope(faulty);
  const auto network = small_network();
  FitOptions options = run.options();
  options.save_best = [&](int64_t, const Metric&) {
    io::write_safetensors(run.folder / "run/model.safetensors", network->state_dict(), {});
  };
  try {
    FitResult result = fit(*network, small_data(), pattern_preprocess(8), recipe, options);
    EXPECT_EQ((Outcome{bytes_of(*network), numbers_of(result), std::move(result)}), undisturbed)
        << fail_at;  // the feature cache's file was done without
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::resource) << error.what();
    EXPECT_NE(std::string(error.what()).find("injected fault"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(run.folder.path()), std::string::npos) << error.what();
  }
  return faulty.fired();
}

class DiskFaults : public testing::TestWithParam<bool> {};

TEST_P(DiskFaults, LeaveNothingHalfWritten) {
  Recipe recipe = small_recipe("backbone");
  recipe.epochs = 2;
  const Outcome undisturbed = run_small(recipe);
  bool fired = true;
  for (int fail_at = 0; fired; ++fail_at) {
    ASSERT_LT(fail_at, 500);
    RunFolder run;
    fired = run_with_fault(recipe, run, fail_at, GetParam(), undisturbed);
    if (!fs::exists(run.folder / "run")) continue;
    for (const auto& entry : fs::directory_iterator(run.folder / "run")) {
      const std::string name = entry.path().filename();
      EXPECT_TRUE(name == "metrics.jsonl" || name == "last.ckpt.safetensors" ||
                  name == "model.safetensors" || name == "features.cache")
          << name << " at " << fail_at;
      if (!name.ends_with(".safetensors")) continue;
      EXPECT_NO_THROW(io::read_weights(entry.path())) << name << " at " << fail_at;
    }
    if (!fs::exists(run.checkpoint())) continue;
    EXPECT_EQ(run_small(recipe, run.options(true)), undisturbed) << fail_at;
  }
}

TEST_P(DiskFaults, LeaveTheOldCheckpoint) {
  const TemporaryFolder folder;
  Checkpoint first = some_checkpoint(), second = some_checkpoint();
  second.epoch = 4;
  second.history.push_back(second.history.back());
  second.history.back().epoch = 4;
  bool fired = true;
  for (int fail_at = 0; fired; ++fail_at) {
    ASSERT_LT(fail_at, 100);
    save_checkpoint(folder / "c", first, kThree);
    {
      FaultyFileSystem faulty(posix_file_system(), fail_at, GetParam());
      const ScopedFileSystem scope(faulty);
      try {
        save_checkpoint(folder / "c", second, kThree);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::resource);
      }
      fired = faulty.fired();
    }
    const int64_t epoch = load_checkpoint(folder / "c", kThree).epoch;
    EXPECT_TRUE(epoch == 3 || epoch == 4) << fail_at;
    EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1) << fail_at;
  }
  EXPECT_EQ(load_checkpoint(folder / "c", kThree).epoch, 4);
}

TEST_P(DiskFaults, WhileResumingLoseNothing) {
  Recipe recipe = small_recipe("backbone");
  recipe.epochs = 2;
  RunFolder run;
  std::atomic<bool> stop{false};
  FitOptions options = run.options();
  options.stop = &stop;
  options.on_epoch = [&](const EpochMetrics&) { stop = true; };
  run_small(recipe, options);
  const Outcome undisturbed = run_small(recipe);
  bool fired = true;
  for (int fail_at = 0; fired; ++fail_at) {
    ASSERT_LT(fail_at, 200);
    {
      FaultyFileSystem faulty(posix_file_system(), fail_at, GetParam());
      const ScopedFileSystem scope(faulty);
      try {
        run_small(recipe, run.options(true));
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::resource) << error.what();
      }
      fired = faulty.fired();
    }
    EXPECT_EQ(run_small(recipe, run.options(true)), undisturbed) << fail_at;
  }
}

INSTANTIATE_TEST_SUITE_P(Train, DiskFaults, testing::Bool(),
                         [](const auto& kind) { return kind.param ? "ForGood" : "Once"; });

}  // namespace
}  // namespace graft::train
