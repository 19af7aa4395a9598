#include "graft/tools/run_folder.h"

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/tools/output.h"
#include "graft/train/frozen_features.h"

namespace graft::tools {

std::string RunFolder::model() const { return join_path(path, "model.safetensors"); }
std::string RunFolder::checkpoint() const { return join_path(path, "last.ckpt.safetensors"); }
std::string RunFolder::metrics() const { return join_path(path, "metrics.jsonl"); }
std::string RunFolder::report() const { return join_path(path, "report.html"); }
std::string RunFolder::data() const { return join_path(path, "data.json"); }
std::string RunFolder::features() const { return join_path(path, train::kFeatureFile); }

namespace {

// What a killed run was writing when it died: "last.ckpt.safetensors.tmp-4711" and the like, of our
// own files only.
void remove_unfinished(const RunFolder& run) {
  for (const auto& [name, is_folder, is_regular] : file_system().list(run.path)) {
    const size_t at = name.rfind(".tmp-");
    if (!is_regular || at == std::string::npos ||
        name.find_first_not_of("0123456789", at + 5) != std::string::npos)
      continue;
    const std::string owner = join_path(run.path, name.substr(0, at));
    for (const std::string& file : {run.checkpoint(), run.model(), run.metrics(), run.report(),
                                    run.data(), join_path(run.path, ".writable")})
      if (owner == file) file_system().remove(join_path(run.path, name));
  }
}

}  // namespace

RunFolder open_run_folder(const std::string& path, bool resume, bool overwrite) {
  if (resume && overwrite) fail(ErrorCode::usage, "--resume and --overwrite exclude each other");
  FileSystem& files = file_system();
  RunFolder run{path, false};
  if (files.exists(path)) {
    GRAFT_CHECK(files.is_directory(path), path, ": is a file, a folder for the run was expected");
    if (!resume && !overwrite && !files.list(path).empty())
      fail(ErrorCode::usage, path,
           ": is not empty; pass --resume to go on, --overwrite to start again, or another --out");
    if (overwrite)
      for (const std::string& file :
           {run.checkpoint(), run.model(), run.metrics(), run.report(), run.data(), run.features()})
        files.remove(file);
  }
  files.create_directories(path);
  if (resume || overwrite) remove_unfinished(run);
  const std::string probe = join_path(path, ".writable");
  write_file_atomically(probe, std::string());
  files.remove(probe);
  run.resume = resume && files.exists(run.checkpoint());
  if (resume && !run.resume) say(path, ": no checkpoint yet, starting from the beginning");
  return run;
}

}  // namespace graft::tools
