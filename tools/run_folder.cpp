#include "graft/tools/run_folder.h"

#include <map>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/tools/output.h"
#include "graft/train/frozen_features.h"
#include "graft/train/run_lock.h"

namespace graft::tools {

std::string RunFolder::model() const { return join_path(path, "model.safetensors"); }
std::string RunFolder::checkpoint() const { return join_path(path, "last.ckpt.safetensors"); }
std::string RunFolder::metrics() const { return join_path(path, "metrics.jsonl"); }
std::string RunFolder::report() const { return join_path(path, "report.html"); }
std::string RunFolder::data() const { return join_path(path, "data.json"); }
std::string RunFolder::features() const { return join_path(path, train::kFeatureFile); }

namespace {

// Its files' names, but for those that graft makes for a moment: a lock, what is half-written.
bool is_empty(const std::string& folder) {
  for (const DirectoryEntry& entry : file_system().list(folder))
    if (!entry.name.starts_with(".graft-")) return false;
  return true;
}

void refuse_filled(const std::string& path) {
  if (!is_empty(path))
    fail(ErrorCode::usage, path,
         ": is not empty; pass --resume to go on, --overwrite to start again, or another --out");
}

RunFolder open_one_folder(const std::string& path, bool resume, bool overwrite) {
  FileSystem& files = file_system();
  RunFolder run{path};
  const auto lock = [&path] {
    return train::lock_run(path, [](const std::string& text) { say("note: ", text); });
  };
  if (files.exists(path)) {
    GRAFT_CHECK(files.is_directory(path), path, ": is a file, a folder for the run was expected");
    // A folder that is no run's stays as it is: it gets no lock file.
    if (files.exists(join_path(path, train::kLockFile))) run.lock = lock();
    if (!resume && !overwrite) refuse_filled(path);
  }
  if (!run.lock) run.lock = lock();
  if (!resume && !overwrite) refuse_filled(path);  // a run that came and went meanwhile
  const auto written = {run.checkpoint(), run.model(), run.metrics(), run.report(), run.data()};
  if (overwrite) {
    for (const std::string& file : written) files.remove(file);
    files.remove(run.features());
  }
  for (const std::string& file : written) check_writable(file);
  run.resume = resume && files.exists(run.checkpoint());
  if (resume && !run.resume) say(path, ": no checkpoint yet, starting from the beginning");
  return run;
}

// The folders in `path` whose names are numbers, by number.
std::map<int64_t, std::string> numbered_folders(const std::string& path) {
  std::map<int64_t, std::string> found;
  if (!file_system().is_directory(path)) return found;
  for (const DirectoryEntry& entry : file_system().list(path))
    if (entry.is_directory && entry.name.size() < 10 && entry.name[0] != '0' &&
        entry.name.find_first_not_of("0123456789") == std::string::npos)
      found.emplace(std::stoll(entry.name), join_path(path, entry.name));
  return found;
}

// Photos, say: runs would not be looked for there.
void refuse_other_things(const std::string& path) {
  if (!file_system().is_directory(path) || is_empty(path)) return;
  for (const DirectoryEntry& entry : file_system().list(path)) {
    const std::string folder = join_path(path, entry.name);
    if (entry.is_directory &&
        (holds_a_run(folder) || file_system().exists(join_path(folder, train::kLockFile))))
      return;
  }
  fail(ErrorCode::usage, path,
       "/: holds other things than runs; runs are numbered in a folder of their own");
}

}  // namespace

bool holds_a_run(const std::string& path) {
  const RunFolder run{path};
  return file_system().exists(run.checkpoint()) || file_system().exists(run.metrics());
}

std::vector<std::string> numbered_runs(const std::string& path) {
  std::vector<std::string> runs;
  for (const auto& [number, folder] : numbered_folders(path))
    if (holds_a_run(folder)) runs.push_back(folder);
  return runs;
}

RunFolder open_run_folder(const std::string& given, bool resume, bool overwrite) {
  if (resume && overwrite) fail(ErrorCode::usage, "--resume and --overwrite exclude each other");
  if (!given.ends_with('/') || given == "/") return open_one_folder(given, resume, overwrite);
  const std::string path = given.substr(0, given.find_last_not_of('/') + 1);
  if (holds_a_run(path)) return open_one_folder(path, resume, overwrite);
  refuse_other_things(path);
  constexpr int kTries = 20;  // other runs may take a number meanwhile
  const auto there = numbered_folders(path);
  int64_t number = there.empty() ? 1 : there.rbegin()->first + (resume ? 0 : 1);
  for (int tries = 1;; ++tries, ++number) try {
      RunFolder run = open_one_folder(join_path(path, std::to_string(number)), resume, overwrite);
      say("run: ", run.path);
      return run;
    } catch (const Error& error) {
      if (resume || error.code() != ErrorCode::usage || tries == kTries) throw;
    }
}

}  // namespace graft::tools
