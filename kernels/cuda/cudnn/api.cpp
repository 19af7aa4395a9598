#include "graft/kernels/cuda/cudnn/api.h"

#include <dlfcn.h>

#include "graft/core/base/environment.h"
#include "graft/core/base/text.h"
#include "graft/kernels/cuda/shared_library.h"

namespace graft::cudnn::api {
namespace {

struct Loaded {
  Library functions{};
  std::string why;  // empty: it is there
};

Loaded load() {
  Loaded result;
  std::string path = environment("GRAFT_CUDNN_LIBRARY");
  if (path == "off") return {{}, "turned off by GRAFT_CUDNN_LIBRARY"};
  if (path.empty()) path = "libcudnn.so.9";
  std::string reason;
  void* const opened = open_shared_library(path, reason);
  if (!opened) return {{}, str("cuDNN 9 was not found: ", reason)};
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(opened, name));
    if (!function && result.why.empty()) result.why = str(path, " has no ", name);
  };
  Library& f = result.functions;
  find(f.version, "cudnnGetVersion");
  find(f.error_text, "cudnnGetErrorString");
  find(f.last_error, "cudnnGetLastErrorString");
  find(f.create, "cudnnCreate");
  find(f.destroy, "cudnnDestroy");
  find(f.set_stream, "cudnnSetStream");
  find(f.create_descriptor, "cudnnBackendCreateDescriptor");
  find(f.destroy_descriptor, "cudnnBackendDestroyDescriptor");
  find(f.finalize, "cudnnBackendFinalize");
  find(f.set, "cudnnBackendSetAttribute");
  find(f.get, "cudnnBackendGetAttribute");
  find(f.execute, "cudnnBackendExecute");
  if (result.why.empty() && static_cast<int64_t>(f.version()) < kOldestVersion)
    result.why =
        str("cuDNN ", f.version(), " is too old: ", kOldestVersion, " (9.11) or later is needed");
  return result;
}

}  // namespace

const Library* library(std::string& why) {
  static const Loaded* loaded = new Loaded(load());  // never unloaded: plans may outlive main
  why = loaded->why;
  return loaded->why.empty() ? &loaded->functions : nullptr;
}

}  // namespace graft::cudnn::api
