#include "graft/kernels/cuda/cudnn/plan_cache.h"

#include <algorithm>
#include <cstdlib>

#include "graft/core/base/environment.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/log.h"
#include "graft/core/base/sha256.h"
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/cuda/cudnn/measure.h"

namespace graft::cudnn {
namespace {

constexpr int64_t kMostFileBytes = 64 << 20;
constexpr const char* kExtension = ".cudnn_plan";

std::string default_folder() {
  // A relative one is to be ignored, says the XDG specification; the current folder may be
  // anybody's.
  if (const std::string cache = environment("XDG_CACHE_HOME"); cache.starts_with('/'))
    return join_path(cache, "graft/cudnn");
  if (const std::string home = environment("HOME"); home.starts_with('/'))
    return join_path(home, ".cache/graft/cudnn");
  return {};
}

}  // namespace

PlanCacheOptions PlanCacheOptions::from_environment() {
  PlanCacheOptions options;
  options.rules.tf32 = environment("GRAFT_CUDA_TF32") == "1";
  options.rules.deterministic = environment("GRAFT_CUDNN_DETERMINISTIC") != "0";
  if (const std::string limit = environment("GRAFT_CUDNN_WORKSPACE"); !limit.empty()) {
    const long long mebibytes = std::atoll(limit.c_str());
    GRAFT_CHECK(mebibytes >= 0 && mebibytes <= 1 << 20,
                "GRAFT_CUDNN_WORKSPACE is a number of MiB, not ", limit);
    options.rules.workspace_limit = mebibytes << 20;
  }
  if (environment("GRAFT_CUDNN_AUTOTUNE") == "1") options.candidates = kAutotune;
  options.with_handle = environment("GRAFT_CUDNN_HANDLE") == "1";
  const std::string folder = environment("GRAFT_CUDNN_CACHE");
  if (folder != "off") options.folder = folder.empty() ? default_folder() : folder;
  return options;
}

PlanCache::PlanCache(gpu::Device& device, PlanCacheOptions options)
    : device_(device), options_(std::move(options)) {
  const gpu::Status status = device.driver().open_dnn(device.id().index, dnn_);
  device.note(status);
  device.require_alive();
  if (status.ok()) return;
  dnn_.reset();
  why_ = status.message;
  log("cudnn", device.id(), ": ", why_);
}

void PlanCache::set_candidates(size_t candidates) {
  const std::lock_guard lock(mutex_);
  options_.candidates = candidates;
}

std::shared_ptr<const Plan> PlanCache::find(const ConvGraph& graph) {
  if (!dnn_) return nullptr;
  device_.require_alive();
  device_.make_current();
  const std::lock_guard lock(mutex_);
  auto found = entries_.find(graph);
  if (found == entries_.end()) {
    std::shared_ptr<const Plan> plan = make(graph);
    evict();
    found = entries_.emplace(graph, Entry{std::move(plan)}).first;
  }
  found->second.used = ++clock_;
  found->second.pinned = found->second.pinned || device_.capturing();
  return found->second.plan;
}

std::unique_ptr<Plan> PlanCache::make(const ConvGraph& graph) {
  std::string path;
  const size_t most =
      device_.capturing()
          ? 1
          : std::max<size_t>(options_.candidates, 1);  // nothing can be measured inside a capture
  std::string key = str("graft cuDNN plan 1, cuDNN ", dnn_->version(), ", ", dnn_->device_text(),
                        ", ", graph.text(), ", ", options_.rules.text());
  if (most > 1) key += str(", fastest of ", most);
  if (!options_.folder.empty()) {
    path = join_path(options_.folder, sha256_hex(std::as_bytes(std::span(key))) + kExtension);
    if (std::unique_ptr<Plan> plan = from_disk(path, key)) {
      ++stats_.restored;
      return plan;
    }
  }
  std::vector<std::unique_ptr<Plan>> plans;
  const gpu::Status status = dnn_->propose(graph, options_.rules, most, plans);
  device_.note(status);
  device_.require_alive();
  if (!status.ok()) {
    ++stats_.refused;
    return nullptr;
  }
  ++stats_.built;
  std::unique_ptr<Plan> plan =
      plans.size() == 1 ? std::move(plans.front()) : fastest(graph, std::move(plans));
  if (!path.empty()) to_disk(path, key, *plan);
  return plan;
}

// What cannot be measured (no memory for its tensors) leaves cuDNN's order as it is.
std::unique_ptr<Plan> PlanCache::fastest(const ConvGraph& graph,
                                         std::vector<std::unique_ptr<Plan>> plans) {
  size_t best = 0;
  try {
    const std::vector<double> times = measure(*this, device_, graph, plans);
    ++stats_.measured;
    best = static_cast<size_t>(std::min_element(times.begin(), times.end()) - times.begin());
    for (size_t i = 0; i < plans.size(); ++i)
      log("cudnn", graph.text(), ": ", plans[i]->tag, " ", times[i], " ms",
          i == best ? ", taken" : "");
  } catch (const Error& error) {
    device_.require_alive();
    log("cudnn", graph.text(), ": not measured: ", error.what());
  }
  return std::move(plans[best]);
}

// A file that cannot be read, or is another's, is as none.
std::unique_ptr<Plan> PlanCache::from_disk(const std::string& path, const std::string& key) {
  try {
    if (!file_system().exists(path)) return nullptr;
    const std::string text = read_text_file(path, kMostFileBytes);
    if (!text.starts_with(key + "\n")) return nullptr;
    std::unique_ptr<Plan> plan;
    const gpu::Status status = dnn_->restore(text.substr(key.size() + 1), plan);
    device_.note(status);
    device_.require_alive();
    if (status.ok()) return plan;
    log("cudnn", path, ": ", status.message);
  } catch (const Error& error) {
    device_.require_alive();
    log("cudnn", path, ": ", error.what());
  }
  return nullptr;
}

// The plan is there without its file too: what fails here is a line in the log.
void PlanCache::to_disk(const std::string& path, const std::string& key, const Plan& plan) {
  std::string text;
  const gpu::Status saved = dnn_->save(plan, text);
  device_.note(saved);
  device_.require_alive();
  try {
    if (!saved.ok()) return log("cudnn", "a plan was not kept: ", saved.message);
    FileSystem& files = file_system();
    files.create_directories(options_.folder);
    std::vector<std::string> names;
    for (const DirectoryEntry& entry : files.list(options_.folder))
      if (entry.name.ends_with(kExtension) && entry.name != file_name(path))
        names.push_back(entry.name);
    if (names.size() >= options_.most_files)  // of other devices and versions, most of them: all go
      for (const std::string& name : names) files.remove(join_path(options_.folder, name));
    write_file_atomically(path, key + "\n" + text);
  } catch (const Error& error) {
    log("cudnn", "a plan was not kept: ", error.what());
  }
}

// Makes place for one more.
void PlanCache::evict() {
  if (entries_.size() < options_.most_plans) return;
  auto oldest = entries_.end();
  for (auto i = entries_.begin(); i != entries_.end(); ++i)
    if (!i->second.pinned && (oldest == entries_.end() || i->second.used < oldest->second.used))
      oldest = i;
  if (oldest == entries_.end()) return;  // captured graphs need them all
  entries_.erase(oldest);
  ++stats_.evicted;
}

void PlanCache::run(const Plan& plan, const char* name, std::span<const Binding> bindings) {
  Tensor workspace;
  if (plan.workspace > 0)
    workspace = Tensor::empty({plan.workspace}, {.dtype = DType::u8, .device = device_.id()});
  device_.queue(name, [&](gpu::StreamId stream) {
    return execute(plan, bindings, workspace.defined() ? workspace.mutable_raw() : nullptr, stream);
  });
}

gpu::Status PlanCache::execute(const Plan& plan, std::span<const Binding> bindings, void* workspace,
                               gpu::StreamId stream) {
  if (options_.with_handle && !plan.for_handle) make_for_handle(plan);
  if (plan.for_handle) return dnn_->execute(*plan.for_handle, bindings, workspace, stream);
  gpu::Status status = dnn_->execute(plan, bindings, workspace, stream);
  if (status.code != gpu::Status::Code::failed || options_.with_handle || !make_for_handle(plan))
    return status;
  const gpu::Status second = dnn_->execute(*plan.for_handle, bindings, workspace, stream);
  if (!second.ok()) {  // the handle was not what it lacked
    plan.for_handle.reset();
    return second.code == gpu::Status::Code::failed ? status : second;
  }
  options_.with_handle = true;
  log("cudnn", plan.tag, " runs only when it is made with a handle (", status.message,
      "): so are all from here on");
  return second;
}

bool PlanCache::make_for_handle(const Plan& plan) {
  std::unique_ptr<Plan> made;
  const gpu::Status status = dnn_->make_for_handle(plan, made);
  device_.note(status);
  if (status.ok() && made->workspace > plan.workspace) return false;  // the caller's is too small
  if (!status.ok()) {
    log("cudnn", plan.tag, ": not made with a handle: ", status.message);
    return false;
  }
  ++stats_.for_handle;
  plan.for_handle = std::move(made);
  return true;
}

PlanCache::Stats PlanCache::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace graft::cudnn
